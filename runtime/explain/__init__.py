"""Why a run took as long as it did: the chain of waits that its length hangs on, and what would shorten it."""
