"""The 16 features of the engine job in plain Python, a bar at a time: what a strategy in another engine computes."""

import math
from collections import deque

WARM = 97
WINDOWS = (12, 48, 96)


class Rolling:
    """Sum and sum of squares over the last `n` values."""

    __slots__ = ("n", "squares", "total", "values")

    def __init__(self, n: int) -> None:
        self.n, self.total, self.squares = n, 0.0, 0.0
        self.values: deque[float] = deque()

    def push(self, x: float) -> None:
        """Take the next value."""
        self.values.append(x)
        self.total += x
        self.squares += x * x
        if len(self.values) > self.n:
            old = self.values.popleft()
            self.total -= old
            self.squares -= old * old

    def mean(self) -> float:
        """Return the mean."""
        return self.total / len(self.values)

    def std(self) -> float:
        """Return the sample deviation."""
        count = len(self.values)
        moment = (self.squares - self.total * self.total / count) / (count - 1)
        return math.sqrt(moment) if moment > 0 else 0.0


class Features:
    """State of the 16 features; `push` fills `row` and tells whether it is whole."""

    def __init__(self, row: object) -> None:
        self.row = row
        self.closes: deque[float] = deque(maxlen=WARM)
        self.returns = [Rolling(n) for n in WINDOWS]
        self.prices = [Rolling(n) for n in WINDOWS]
        self.volume, self.range = Rolling(48), Rolling(14)
        self.fast = self.slow = self.signal = self.gain = self.loss = 0.0
        self.seen = 0

    def push(self, high: float, low: float, close: float, volume: float) -> bool:
        """Take a bar."""
        closes, before = self.closes, self.closes[-1] if self.closes else close
        change = math.log(close / before)
        closes.append(close)
        if self.seen:
            for each in self.returns:
                each.push(change)
        for each in self.prices:
            each.push(close)
        self.volume.push(volume)
        self.range.push((high - low) / close)
        trend = self._smooth(close, close - before)
        self.seen += 1
        if self.seen < WARM:
            return False
        self._fill(high, low, close, volume, trend)
        return True

    def _smooth(self, close: float, move: float) -> float:
        """Update the exponential averages and return the trend."""
        if not self.seen:
            self.fast = self.slow = close
            return 0.0
        self.fast += (close - self.fast) * 2 / 13
        self.slow += (close - self.slow) * 2 / 27
        trend = self.fast - self.slow
        self.signal += (trend - self.signal) * 2 / 10
        weight = 1.0 if self.seen == 1 else 1 / 14
        self.gain += (max(move, 0.0) - self.gain) * weight
        self.loss += (max(-move, 0.0) - self.loss) * weight
        return trend

    def _fill(self, high: float, low: float, close: float, volume: float, trend: float) -> None:
        row, closes = self.row, self.closes
        for place, n in enumerate((1, 6, 12, 48, 96)):
            row[place] = math.log(close / closes[-1 - n])
        for place in range(3):
            row[5 + place] = self.returns[place].std()
            row[8 + place] = (close - self.prices[place].mean()) / self.prices[place].std()
        row[11] = volume / self.volume.mean()
        row[12] = self.range.mean()
        row[13] = (trend - self.signal) / close
        row[14] = self.gain / (self.gain + self.loss)
        row[15] = (high - low) / close
