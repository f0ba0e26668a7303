"""Online load balancing; it speaks to stations over their local API, never to their insides."""
