"""An examination from the first photograph to the last, as events; everything that it says of a photograph is stored.

    station = Station(camera=camera, session=session, store=store, programme=programme, controls=Controls())
    for event in station.examine(Person(reference="4711")):
        print(event.model_dump_json())

A generator, so whoever takes the events sets the pace and may stop between two of them: nothing is lost by that,
because a photograph is stored before it is said to be judged, and an examination that was left can be taken up again.
"""

__all__ = ["Station"]
