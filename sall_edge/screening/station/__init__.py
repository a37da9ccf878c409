"""A device in use: aim, take, judge, keep, report; what happens comes out as events, what people want goes in."""
