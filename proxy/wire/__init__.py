"""HTTP/1.1 over asyncio protocols: parse, guard, relay, tunnel, upstream connections."""
