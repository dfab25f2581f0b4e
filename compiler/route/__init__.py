"""Choose which links every transfer crosses, and prove that the choice cannot deadlock."""
