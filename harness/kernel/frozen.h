/* SPDX-License-Identifier: Apache-2.0
 *
 * frozen.h - readings that stand still while what should move them moves: over which range of the pack current a
 * voltage has not changed by one step of its resolution, and over which range of the pack voltage the current has not.
 */
#ifndef BH_FROZEN_H
#define BH_FROZEN_H

#include <stddef.h>
#include <stdint.h>

#include "fil.h"
#include "internal.h"

/* One reading and the range of its driver since it last changed, or since the controller was switched on. */
typedef struct bh_still {
    int32_t reading;
    int32_t low;
    int32_t high;
} bh_still;

typedef struct bh_frozen {
    int32_t *reading_uv; /* [n_cells] of the tick before */
    int32_t *low_ma;     /* [n_cells] */
    int32_t *high_ma;    /* [n_cells] */
    bh_still pack;
    bh_still link;
    bh_still current;
    int32_t last_ma;
    uint8_t begun;  /* there is a tick before */
    uint8_t narrow; /* every cell's range is from last_ma to last_ma, whatever the arrays hold */
    double cell_a;  /* the widest over valid cells */
    double pack_a;
    double link_a;
    double current_v;
} bh_frozen;

void bh_frozen_create(bh_arena *arena, bh_frozen *frozen, size_t n_cells);

/* A controller just switched on has seen nothing yet. */
void bh_frozen_begin(bh_frozen *frozen);

/* What the controller is given in this tick. */
void bh_frozen_step(bh_frozen *frozen, const fil_inputs *inputs, int32_t n_cells);

#endif
