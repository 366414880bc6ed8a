"""Headgate: a transparent HTTP proxy that lets work in at the rate the far side can take.

The architecture on one page (imports point down only; ``tests/architecture`` keeps it so)::

    cli --> app --> settings
             |
             +--> wire       HTTP/1.1 over asyncio protocols: parse, guard, relay, tunnel, upstream connections
             +--> admin      aiohttp: health, metrics, state
             +--> stores     where pools live: memory
             +--> couriers   aiohttp client: progress deliveries
             +--> observe    metrics and the access log
             +--> pipeline   one request's journey, start to finish
                   |
                   +--> ports, problems   what the journey needs of the world; what each error means
                   +--> dialects          what requests mean and how errors look      (pure)
                   +--> policy            YAML -> schema -> an immutable PolicySet    (pure)
                   +--> admission         pools: who waits, who goes                  (pure)
                         |
                         +--> domain      ids, quantities, messages, paths, errors   (pure)

A request's journey is :mod:`proxy.pipeline.journey`: classify, identify, claim, admit, forward, present,
respond. The rules of waiting are :mod:`proxy.admission.pool`. Everything else carries bytes or messages to them.
"""

from __future__ import annotations

__version__ = "0.1.0"
