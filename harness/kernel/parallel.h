/* SPDX-License-Identifier: Apache-2.0
 *
 * parallel.h - the step of all plants of a group, which share their DC link (parallel.c), for group.c.
 */
#ifndef BH_PARALLEL_H
#define BH_PARALLEL_H

#include "internal.h"

/* One string and what bh_plant_step would be given for it. */
typedef struct bh_string {
    bh_plant *plant;
    const bh_controls *controls;
    const bh_heard *heard;
} bh_string;

/* One step of dt_s of n strings, n <= BH_MAX_STRINGS. */
void bh_parallel_step(const bh_string *strings, int32_t n, uint64_t now_ns, double dt_s);

#endif
