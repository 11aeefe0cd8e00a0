import unittest

import app
from timetable import clock, departures, parse


class Departures(unittest.TestCase):
    def test_the_next_ones(self):
        self.assertEqual([clock(m) for m in departures(parse("09:01"))], ["09:20", "09:40", "10:00"])

    def test_before_the_first(self):
        self.assertEqual(clock(departures(0)[0]), "06:00")

    def test_after_the_last(self):
        self.assertEqual(departures(parse("22:01")), [])

    def test_on_the_minute(self):
        self.assertEqual(departures(parse("22:00")), [parse("22:00")])


class Times(unittest.TestCase):
    def test_round_trip(self):
        for minutes in range(0, 24 * 60, 7):
            self.assertEqual(parse(clock(minutes)), minutes)

    def test_nonsense_is_refused(self):
        for words in ["", "9", "24:00", "09:1", "ab:cd"]:
            with self.assertRaises(ValueError):
                parse(words)


class Greeting(unittest.TestCase):
    def test_it_speaks_of_the_ferry(self):
        self.assertIn("ferry", app.GREETING)


if __name__ == "__main__":
    unittest.main()
