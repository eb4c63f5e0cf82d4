"""The BGP speaker: pure rules (messages, session, peer, rib, core), thin shells (speaker, client)."""
