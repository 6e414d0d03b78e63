"""The leak hunt: after every test, no secret of it may be found in anything that was said, raised or written."""
