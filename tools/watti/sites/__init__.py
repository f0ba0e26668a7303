"""Sites in virtual time: members, the network between them and their controller, meters, and what is promised."""
