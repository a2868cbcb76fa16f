"""How often a cache hits, counted by a small simulation that shares nothing with Scalio's code."""

import bisect
import collections
import itertools
import random


class Zipfian:
    """Rank k from 0 on has weight 1 / (k + 1)^skew. Ranks are scrambled to items by a hash, as YCSB
    does it: some items have several ranks, and more than a third none."""

    def __init__(self, items, skew, chance):
        self.sums = list(itertools.accumulate((k + 1) ** -skew for k in range(items)))
        self.chance = chance
        self.scrambled = [chance.randrange(items) for _ in range(items)]

    def draw(self):
        return self.scrambled[bisect.bisect(self.sums, self.chance.random() * self.sums[-1])]


class Cache:
    """Blocks of slots; in each the least recently used goes. One block is a plain LRU cache."""

    def __init__(self, blocks, slots, items, chance):
        self.blocks = [collections.OrderedDict() for _ in range(blocks)]
        self.slots = slots
        self.block_of = [chance.randrange(blocks) for _ in range(items)]

    def get(self, item):
        """Whether it was there; it is afterwards."""
        block = self.blocks[self.block_of[item]]
        if item in block:
            block.move_to_end(item)
            return True
        if len(block) == self.slots:
            block.popitem(last=False)
        block[item] = True
        return False


def hit_ratio(blocks, slots, items, skew, operations, seed=7):
    """Of GETs alone, once the cache is warm."""
    chance = random.Random(seed)
    keys = Zipfian(items, skew, chance)
    cache = Cache(blocks, slots, items, chance)
    for _ in range(2 * blocks * slots + operations):
        cache.get(keys.draw())
    return sum(cache.get(keys.draw()) for _ in range(operations)) / operations
