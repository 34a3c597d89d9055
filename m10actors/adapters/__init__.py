"""What other systems report in their own words, as failures. Pure: from a decoded body to values."""
