/* SPDX-License-Identifier: Apache-2.0
 *
 * outside.c - puts inputs from outside in the place of the plant's, and keeps frames for a real bus.
 */
#include "outside.h"

#include <string.h>

#include "sense.h"

/* ---- inputs -------------------------------------------------------------------------------------------------- */

void bh_outside_create(bh_arena *arena, bh_outside *outside, size_t n_cells, size_t n_temps) {
    outside->cell_uv = bh_take(arena, n_cells * sizeof *outside->cell_uv);
    outside->cell_flags = bh_take(arena, n_cells);
    outside->temp_mdegc = bh_take(arena, n_temps * sizeof *outside->temp_mdegc);
    outside->temp_flags = bh_take(arena, n_temps);
}

static void put(const bh_given *given, int32_t input, int32_t value, uint8_t flags) {
    given->input[input] = value;
    given->input_flags[input] = flags;
}

int bh_outside_readings(const bh_outside *outside, const bh_given *given, int32_t n_cells, int32_t n_temps) {
    const uint32_t from_outside = outside->given;
    if ((from_outside & BH_OUTSIDE_CELLS) != 0) {
        memcpy(given->cell_uv, outside->cell_uv, (size_t)n_cells * sizeof *given->cell_uv);
        memcpy(given->cell_flags, outside->cell_flags, (size_t)n_cells);
        memset(given->cell_age_ms, 0, (size_t)n_cells * sizeof *given->cell_age_ms);
    }
    if ((from_outside & BH_OUTSIDE_TEMPS) != 0) {
        memcpy(given->temp_mdegc, outside->temp_mdegc, (size_t)n_temps * sizeof *given->temp_mdegc);
        memcpy(given->temp_flags, outside->temp_flags, (size_t)n_temps);
    }
    if ((from_outside & BH_OUTSIDE_CURRENT) != 0) {
        put(given, BH_INPUT_CURRENT_MA, outside->current_ma, outside->current_flags);
    }
    if ((from_outside & BH_OUTSIDE_PACK) != 0) {
        put(given, BH_INPUT_PACK_MV, outside->pack_mv, outside->pack_flags);
    }
    if ((from_outside & BH_OUTSIDE_LINK) != 0) {
        put(given, BH_INPUT_LINK_MV, outside->link_mv, outside->link_flags);
    }
    return (from_outside & BH_OUTSIDE_CELLS) != 0;
}

void bh_outside_inputs(const bh_outside *outside, fil_inputs *inputs) {
    const uint32_t from_outside = outside->given;
    if ((from_outside & BH_OUTSIDE_CHARGER) != 0) {
        inputs->charger_mv = outside->charger_mv;
    }
    if ((from_outside & BH_OUTSIDE_INSULATION) != 0) {
        inputs->insulation_ohm = outside->insulation_ohm;
        inputs->insulation_flags = outside->insulation_flags;
    }
    if ((from_outside & BH_OUTSIDE_SUPPLY) != 0) {
        inputs->supply_mv = outside->supply_mv;
    }
    inputs->digital_in =
        (inputs->digital_in & ~outside->digital_given) | (outside->digital_in & outside->digital_given);
}

/* ---- frames -------------------------------------------------------------------------------------------------- */

void bh_outlet_create(bh_arena *arena, bh_outlet *outlet) {
    outlet->frames = bh_take(arena, BH_OUTLET_FRAMES * sizeof *outlet->frames);
}

void bh_outlet_put(bh_outlet *outlet, const fil_frame *frame, uint8_t node, uint64_t release_ns) {
    if (outlet->n >= BH_OUTLET_FRAMES) {
        outlet->lost++;
        return;
    }
    bh_out_frame *out = &outlet->frames[outlet->n++];
    out->release_ns = release_ns;
    out->frame = *frame;
    out->node = node;
}
