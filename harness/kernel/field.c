/* SPDX-License-Identifier: Apache-2.0
 *
 * field.c - numbers in frame payloads, both byte orders, DBC bit numbering: bit 8 * byte + place in the byte. A little
 * endian field starts with its lowest bit, a big endian one with its highest.
 */
#include <math.h>

#include "restbus.h"

/* The bytes a field touches, read as one number, and where in it the field lies. */
typedef struct bh_window {
    uint32_t first;
    uint32_t n;
    uint32_t shift;
    uint64_t mask;
} bh_window;

static bh_window window_of(const bh_field *field) {
    const uint32_t in_byte = field->start_bit % 8;
    const uint32_t lead = field->big_endian ? 7 - in_byte : in_byte;
    const uint32_t n = (lead + field->length + 7) / 8;
    const uint32_t shift = field->big_endian ? 8 * n - lead - field->length : lead;
    const uint64_t mask = field->length >= 64 ? UINT64_MAX : (1ULL << field->length) - 1;
    return (bh_window){field->start_bit / 8, n, shift, mask};
}

uint32_t bh_field_end(const bh_field *field) {
    const bh_window window = window_of(field);
    return window.first + window.n;
}

static uint64_t load(const bh_field *field, bh_window window, const uint8_t *payload) {
    uint64_t bits = 0;
    for (uint32_t i = 0; i < window.n; i++) {
        const uint32_t at = field->big_endian ? window.n - 1 - i : i;
        bits |= (uint64_t)payload[window.first + at] << 8 * i;
    }
    return bits;
}

static void store(const bh_field *field, bh_window window, uint8_t *payload, uint64_t bits) {
    for (uint32_t i = 0; i < window.n; i++) {
        const uint32_t at = field->big_endian ? window.n - 1 - i : i;
        payload[window.first + at] = (uint8_t)(bits >> 8 * i);
    }
}

static double clip(double raw, double low, double high) {
    return raw < low ? low : raw > high ? high : raw;
}

uint64_t bh_field_raw(const bh_field *field, const uint8_t *payload) {
    const bh_window window = window_of(field);
    return load(field, window, payload) >> window.shift & window.mask;
}

void bh_field_put_raw(const bh_field *field, uint8_t *payload, uint64_t raw) {
    const bh_window window = window_of(field);
    const uint64_t around = load(field, window, payload) & ~(window.mask << window.shift);
    store(field, window, payload, around | (raw & window.mask) << window.shift);
}

void bh_field_encode(const bh_field *field, uint8_t *payload, double value) {
    const double span = ldexp(1.0, field->length - (field->is_signed ? 1 : 0));
    const double below = span >= 9007199254740992.0 ? span - span / 4503599627370496.0 : span - 1.0;
    const double raw = clip(rint((value - field->offset) / field->scale), field->is_signed ? -span : 0.0, below);
    bh_field_put_raw(field, payload, field->is_signed ? (uint64_t)(int64_t)raw : (uint64_t)raw);
}

double bh_field_decode(const bh_field *field, const uint8_t *payload) {
    const bh_window window = window_of(field);
    uint64_t bits = bh_field_raw(field, payload);
    if (field->is_signed && (bits >> (field->length - 1) & 1) != 0) {
        bits |= ~window.mask;
    }
    if (field->match_min != 0 || field->match_max != 0) {
        const int64_t raw = (int64_t)bits;
        return raw >= field->match_min && raw <= field->match_max ? 1.0 : 0.0;
    }
    return (field->is_signed ? (double)(int64_t)bits : (double)bits) * field->scale + field->offset;
}
