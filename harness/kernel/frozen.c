/* SPDX-License-Identifier: Apache-2.0
 *
 * frozen.c - readings that stand still while what should move them moves.
 */
#include "frozen.h"

#include <string.h>

enum { MOST_DRIVE = 1000000000 }; /* mA and mV: ranges fit 32 bits */

void bh_frozen_create(bh_arena *arena, bh_frozen *frozen, size_t n_cells) {
    int32_t *arrays = bh_take(arena, 3 * n_cells * sizeof *arrays);
    if (arrays == NULL) {
        return;
    }
    frozen->reading_uv = arrays;
    frozen->low_ma = arrays + n_cells;
    frozen->high_ma = arrays + 2 * n_cells;
    bh_frozen_begin(frozen);
}

void bh_frozen_begin(bh_frozen *frozen) {
    frozen->begun = 0;
    frozen->narrow = 1;
}

static inline int32_t lesser(int32_t a, int32_t b) {
    return a < b ? a : b;
}

static inline int32_t greater(int32_t a, int32_t b) {
    return a > b ? a : b;
}

static int any_unchanged(const int32_t *restrict now, const int32_t *restrict before, int32_t n) {
    int32_t any = 0;
    for (int32_t i = 0; i < n; i++) {
        any |= now[i] == before[i];
    }
    return any != 0;
}

/* Widens the range of each valid cell that stands still and begins it anew for the others; returns the widest. */
static int32_t widest_range(const bh_frozen *frozen, const fil_inputs *inputs, int32_t n, int32_t current_ma) {
    const int32_t *restrict now = inputs->cell_uv;
    const uint8_t *restrict flags = inputs->cell_flags;
    const int32_t *restrict before = frozen->reading_uv;
    int32_t *restrict low_ma = frozen->low_ma;
    int32_t *restrict high_ma = frozen->high_ma;
    int32_t widest = 0;
    for (int32_t i = 0; i < n; i++) {
        const int32_t still = -(int32_t)((now[i] == before[i]) & (flags[i] & FIL_VALID)); /* no branch: vector code */
        low_ma[i] = (lesser(low_ma[i], current_ma) & still) | (current_ma & ~still);
        high_ma[i] = (greater(high_ma[i], current_ma) & still) | (current_ma & ~still);
        widest = greater(widest, high_ma[i] - low_ma[i]);
    }
    return widest;
}

/* Nearly always every cell has changed, or the current has not moved: then all ranges are narrow and none is kept. */
static int32_t step_cells(bh_frozen *frozen, const fil_inputs *inputs, int32_t n, int32_t current_ma) {
    const int rests = frozen->narrow && current_ma == frozen->last_ma;
    int32_t widest = 0;
    if (rests || !frozen->begun || !any_unchanged(inputs->cell_uv, frozen->reading_uv, n)) {
        frozen->narrow = 1;
    } else {
        for (int32_t i = 0; i < n && frozen->narrow; i++) {
            frozen->low_ma[i] = frozen->last_ma;
            frozen->high_ma[i] = frozen->last_ma;
        }
        frozen->narrow = 0;
        widest = widest_range(frozen, inputs, n, current_ma);
    }
    frozen->last_ma = current_ma;
    memcpy(frozen->reading_uv, inputs->cell_uv, (size_t)n * sizeof *frozen->reading_uv);
    return widest;
}

/* mA or mV as A or V. */
static double step_one(const bh_frozen *frozen, bh_still *still, int32_t reading, uint8_t flags, int32_t driver) {
    const int unchanged = frozen->begun && reading == still->reading && (flags & FIL_VALID) != 0;
    still->low = unchanged ? lesser(still->low, driver) : driver;
    still->high = unchanged ? greater(still->high, driver) : driver;
    still->reading = reading;
    return (still->high - still->low) * 1e-3;
}

void bh_frozen_step(bh_frozen *frozen, const fil_inputs *inputs, int32_t n_cells) {
    const int32_t current_ma = lesser(greater(inputs->current_ma, -MOST_DRIVE), MOST_DRIVE);
    const int32_t pack_mv = lesser(greater(inputs->pack_mv, -MOST_DRIVE), MOST_DRIVE);
    frozen->cell_a = step_cells(frozen, inputs, n_cells, current_ma) * 1e-3;
    frozen->pack_a = step_one(frozen, &frozen->pack, inputs->pack_mv, inputs->pack_flags, current_ma);
    frozen->link_a = step_one(frozen, &frozen->link, inputs->link_mv, inputs->link_flags, current_ma);
    frozen->current_v = step_one(frozen, &frozen->current, inputs->current_ma, inputs->current_flags, pack_mv);
    frozen->begun = 1;
}
