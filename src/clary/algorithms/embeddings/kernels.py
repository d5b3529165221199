"""Compiled inner loops of the IP Insights network: gather, pair loss and gradient, scatter, Adam.

Tables of vectors are (rows, 3, width) float32: a row holds parameter, first and second moment side by side, so that an update
of a random row waits for memory once. `network.py` says what is computed; `tests/algorithms/test_ip_insights.py` has the plain
NumPy form. Errors of division are numpy's (inf): the check for zero would keep the loops from being vectorised.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, types

_compiled: Any = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz", "arcp"}}

BETA1, BETA2, EPSILON = np.float32(0.9), np.float32(0.999), np.float32(1e-8)
_ONE, _ZERO = np.float32(1), np.float32(0)
_EMPTY = np.uint32(0xFFFFFFFF)
_GOLDEN = np.uint64(2654435761)
_LOW = np.uint64(0xFFFFFFFF)
_TEXT = types.Array(types.uint8, 1, "C", readonly=True)
_HASHES, _ADDRESSES, _ENDS = types.uint64[::1], types.uint32[::1], types.int64[::1]
_PAIR = types.UniTuple(types.int64, 2)


@njit("i8(u4, i8)", **_compiled)
def _place(network, capacity):
    """Where `network` is looked for first among `capacity` (a power of two) places."""
    mixed = (np.uint64(network) * _GOLDEN) & _LOW
    return np.int64((mixed * np.uint64(capacity)) >> np.uint64(32))


@njit("i8(u4[::1], i4[::1], u4[::1], i8)", **_compiled)
def add_networks(keys, rows, networks, count):
    """Give each of `networks` that is new the next row number, from `count` on; the new count.

    keys (capacity,), rows (capacity,): open addressing with a place or more left free.
    """
    mask = keys.shape[0] - 1
    for i in range(networks.shape[0]):
        place = _place(networks[i], keys.shape[0])
        while keys[place] != networks[i] and keys[place] != _EMPTY:
            place = (place + 1) & mask
        if keys[place] == _EMPTY:
            keys[place], rows[place] = networks[i], count
            count += 1
    return count


@njit("void(u4[::1], i4[::1], u4[::1], i8, i8, i8, i4[:, ::1])", **_compiled)
def prefix_rows(keys, rows, addresses, start8, start16, start24, out):
    """out (n, 3): the table rows of the /8, /16 and /24 of each of `addresses` (n,); -1 for a /24 that is not known."""
    mask = keys.shape[0] - 1
    for i in range(addresses.shape[0]):
        address = addresses[i]
        network = np.uint32(address >> 8)
        out[i, 0], out[i, 1] = start8 + (address >> 24), start16 + (address >> 16)
        place = _place(network, keys.shape[0])
        while keys[place] != network and keys[place] != _EMPTY:
            place = (place + 1) & mask
        out[i, 2] = start24 + rows[place] if keys[place] == network else -1


@njit("void(f4[:, :, ::1], i4[:, ::1], f4[:, ::1])", **_compiled)
def gather_sum(table, rows, out):
    """out (n, width): the sum of the parameters in the three `rows` (n, 3) of each address."""
    for i in range(rows.shape[0]):
        a, b = table[rows[i, 0], 0], table[rows[i, 1], 0]
        sums = out[i]
        if rows[i, 2] >= 0:
            c = table[rows[i, 2], 0]
            for d in range(sums.shape[0]):
                sums[d] = a[d] + b[d] + c[d]
        else:
            for d in range(sums.shape[0]):
                sums[d] = a[d] + b[d]


@njit("i8(i4[::1], i4[::1], i4[::1], i4[::1])", **_compiled)
def number_rows(rows, numbers, touched, out):
    """Number the distinct `rows` (n,) in the order in which they occur; how many they are.

    touched (n,): receives the distinct rows; out (n,): the number of each of `rows`, -1 for row -1; numbers (table rows,):
    all -1, before and after.
    """
    count = 0
    for i in range(rows.shape[0]):
        row = rows[i]
        if row < 0:
            out[i] = -1
            continue
        if numbers[row] < 0:
            numbers[row], touched[count] = count, row
            count += 1
        out[i] = numbers[row]
    for i in range(count):
        numbers[touched[i]] = -1
    return count


@njit("UniTuple(f8, 2)(f4[:, :, ::1], i4[::1], i4[::1], f4[:, ::1], i8, i8[::1], f4[:, ::1], f4[:, ::1])", **_compiled)
def pair_gradients(entities, ids, numbers, vectors, random, shifts, entity_gradients, vector_gradients):
    """Logistic loss of all pairs of a batch and its gradients: (sum of losses, pairs on their right side of 0).

    ids (n,): rows of `entities`; numbers (n,): their rows in `entity_gradients`; vectors ((1 + random) n, width): of the
    address of each event, then of `random` times n addresses drawn at random; shifts (s,): event i is also paired with the
    address of event i + shift. An event's pairs weigh 1 / (1 + random + s) each. Gradients are added.
    """
    events, width = ids.shape[0], entities.shape[2]
    pairs = 1 + random + shifts.shape[0]
    weight = _ONE / np.float32(pairs)
    loss, right = np.float64(0), np.float64(0)
    for i in range(events):
        odds = np.float64(1)  # one logarithm for all pairs of an event: the product of up to 501 factors in [1, 2] is finite
        entity, entity_gradient = entities[ids[i], 0], entity_gradients[numbers[i]]
        for pair in range(pairs):
            j = pair * events + i
            if pair > random:
                j = i + shifts[pair - 1 - random]
                j = j - events if j >= events else j
            vector, vector_gradient = vectors[j], vector_gradients[j]
            score = _ZERO
            for d in range(width):
                score += entity[d] * vector[d]
            truth = _ONE if pair == 0 else _ZERO
            small = np.float32(math.exp(-abs(score)))
            chance = (_ONE if score >= 0 else small) / (_ONE + small)
            odds *= 1.0 + small
            loss += max(score, _ZERO) - score * truth
            right += (score > 0) == (pair == 0)
            slope = (chance - truth) * weight
            for d in range(width):
                entity_gradient[d] += slope * vector[d]
                vector_gradient[d] += slope * entity[d]
        loss += math.log(odds)
    return loss, right


@njit("void(f4[:, ::1], f4[:, ::1], f4[:, :, ::1])", **_compiled)
def skip_forward(inner, hidden, layer):
    """inner (n, width) becomes hidden + max(0, inner + bias); the bias is the last row of `layer`."""
    bias = layer[layer.shape[0] - 1, 0]
    for i in range(inner.shape[0]):
        values, before = inner[i], hidden[i]
        for d in range(values.shape[0]):
            values[d] = before[d] + max(values[d] + bias[d], _ZERO)


@njit("void(f4[:, ::1], f4[:, ::1], f4[:, ::1], f4[:, ::1], f4[::1])", **_compiled)
def skip_backward(gradients, hidden, after, inner, bias_gradient):
    """inner (n, width) becomes the gradient of what max(0, .) was given, where it let it pass; its sum is added to the bias's.

    It let it pass where the output `after` differs from the input `hidden`.
    """
    for i in range(gradients.shape[0]):
        gradient, before, output, passed = gradients[i], hidden[i], after[i], inner[i]
        for d in range(gradient.shape[0]):
            passed[d] = gradient[d] if output[d] != before[d] else _ZERO
            bias_gradient[d] += passed[d]


@njit("void(i4[:, ::1], f4[:, ::1], f4[:, ::1])", **_compiled)
def scatter_add(numbers, gradients, out):
    """Add each of `gradients` (n, width) to the rows `numbers` (n, levels) of `out`, but for -1."""
    for i in range(gradients.shape[0]):
        gradient = gradients[i]
        for level in range(numbers.shape[1]):
            if numbers[i, level] >= 0:
                sums = out[numbers[i, level]]
                for d in range(gradient.shape[0]):
                    sums[d] += gradient[d]


@njit("void(f4[:, :, ::1], i4[::1], i8, f4[:, ::1], f4, f4, f4, f4)", **_compiled)
def adam(table, touched, count, gradients, rate, correction1, correction2, decay):
    """An Adam step of the first `count` rows in `touched`, with gradients (count, width); L2 decay is part of the gradient.

    D. Kingma and J. Ba (2015), Algorithm 1. Rows that are not touched stay, as do their moments. The corrections are
    1 / (1 - beta^t).
    """
    for i in range(count):
        row, gradient = table[touched[i]], gradients[i]
        parameter, first, second = row[0], row[1], row[2]
        for d in range(gradient.shape[0]):
            slope = gradient[d] + decay * parameter[d]
            mean = BETA1 * first[d] + (_ONE - BETA1) * slope
            square = BETA2 * second[d] + (_ONE - BETA2) * slope * slope
            first[d], second[d] = mean, square
            parameter[d] -= rate * (mean * correction1) / (np.sqrt(square * correction2) + EPSILON)


@njit(types.uint64(_TEXT, types.int64, types.int64), **_compiled)
def _hash(data, start, end):
    """FNV-1a, 64 bits, of data[start:end]."""
    value = np.uint64(0xCBF29CE484222325)
    for place in range(start, end):
        value = (value ^ np.uint64(data[place])) * np.uint64(0x100000001B3)
    return value ^ (value >> np.uint64(32))  # the low bits of FNV alone are weak


@njit(types.int64(_TEXT, types.int64, types.int64), **_compiled)
def _address(data, start, end):
    """The number that the dotted IPv4 address data[start:end] stands for; -1 when it is none."""
    address, part, digits, dots = 0, 0, 0, 0
    for place in range(start, end):
        character = data[place]
        if character == ord("."):
            if digits == 0 or dots == 3:
                return -1
            address, part, digits, dots = address * 256 + part, 0, 0, dots + 1
        elif character < ord("0") or character > ord("9") or (digits > 0 and part == 0):
            return -1  # neither letters nor leading zeros, which some read as octal
        else:
            part, digits = part * 10 + character - ord("0"), digits + 1
            if part > 255:
                return -1
    return address * 256 + part if dots == 3 and digits > 0 else -1


@njit(_PAIR(_TEXT, types.int64, types.int64), **_compiled)
def _trimmed(data, start, end):
    """The span data[start:end] without the blanks at its ends."""
    while start < end and (data[start] == ord(" ") or data[start] == ord("\t")):
        start += 1
    while end > start and (data[end - 1] == ord(" ") or data[end - 1] == ord("\t") or data[end - 1] == ord("\r")):
        end -= 1
    return start, end


@njit(_PAIR(_TEXT, _HASHES, _ADDRESSES), **_compiled)
def parse_events(data, hashes, addresses):
    """Read lines `entity,address`, the last one ended too: (events read, number of the first bad line or -1), from 0.

    hashes, addresses (lines,): receive the events. Blank lines are skipped. A line is bad unless it is a name, one comma and
    an IPv4 address.
    """
    events, line, start, comma, commas = 0, 0, 0, -1, 0
    for place in range(data.shape[0]):
        if data[place] == ord(","):
            comma, commas = place, commas + 1
        elif data[place] == ord("\n"):
            first, last = _trimmed(data, start, place)
            if first < last:
                if commas != 1:
                    return events, line
                name_start, name_end = _trimmed(data, first, comma)
                address_start, address_end = _trimmed(data, comma + 1, last)
                address = _address(data, address_start, address_end)
                if address < 0 or name_start == name_end:
                    return events, line
                hashes[events], addresses[events] = _hash(data, name_start, name_end), address
                events += 1
            line, start, comma, commas = line + 1, place + 1, -1, 0
    return events, -1


@njit(types.int64(_TEXT, _ENDS, _HASHES, _ADDRESSES, types.boolean), **_compiled)
def parse_texts(data, ends, hashes, addresses, as_addresses):
    """Hash each text in `data`, or read each as an address; the first that is no address, or -1.

    Text i ends before ends[i], where the next one begins. hashes or addresses (n,) receive the result.
    """
    start = 0
    for i in range(ends.shape[0]):
        first, last = _trimmed(data, start, ends[i])
        if as_addresses:
            address = _address(data, first, last)
            if address < 0:
                return i
            addresses[i] = address
        else:
            hashes[i] = _hash(data, first, last)
        start = ends[i]
    return -1
