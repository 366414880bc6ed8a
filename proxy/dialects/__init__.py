"""What an API's requests mean (operations) and how its errors look. Pure."""
