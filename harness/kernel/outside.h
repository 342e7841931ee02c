/* SPDX-License-Identifier: Apache-2.0
 *
 * outside.h - inputs from outside and frames for a real bus, as the parts of the kernel see them.
 */
#ifndef BH_OUTSIDE_H
#define BH_OUTSIDE_H

#include "internal.h"

struct bh_given;

void bh_outside_create(bh_arena *arena, bh_outside *outside, size_t n_cells, size_t n_temps);

/* Put cells, temperatures and the readings that faults can bend over what is given. Returns 1 when cells are among
 * them. */
int bh_outside_readings(const bh_outside *outside, const struct bh_given *given, int32_t n_cells, int32_t n_temps);
/* The rest of the inputs. */
void bh_outside_inputs(const bh_outside *outside, fil_inputs *inputs);

static inline int bh_outside_any(const bh_outside *outside) {
    return (outside->given | outside->digital_given) != 0;
}

void bh_outlet_create(bh_arena *arena, bh_outlet *outlet);
void bh_outlet_put(bh_outlet *outlet, const fil_frame *frame, uint8_t node, uint64_t release_ns);

#endif
