/* SPDX-License-Identifier: Apache-2.0
 *
 * given.h - one pass of the faults on what the controller is given: given.c decides which take part, reading.c bends.
 */
#ifndef BH_GIVEN_H
#define BH_GIVEN_H

#include "sense.h"

/* Which of the faults that share inputs with a chosen one take part in a pass. */
typedef enum bh_cast { CAST_ALL, CAST_WITHOUT, CAST_ALONE, CAST_NONE } bh_cast;

/* One pass over the active faults. */
typedef struct bh_pass {
    bh_faults *faults;
    const bh_sense *sense;
    const bh_given *given; /* what is bent: given or without of the sense */
    uint64_t now_ns;
    uint64_t tick;
    bh_cast cast;
    int32_t chosen;  /* index into the plan */
    uint8_t capture; /* the real pass: states may change */
} bh_pass;

/* reading.c: put one fault of the plan on the inputs. Returns 1 when it changed one. */
int bh_reading_bend(const bh_pass *pass, int32_t index);

#endif
