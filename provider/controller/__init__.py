"""The machinery that runs reconcilers: watches, queues, workers, long operations, leader election.

It knows no kind of object and decides nothing.
"""
