/* SPDX-License-Identifier: Apache-2.0
 *
 * balance.h - passive balancing: bleeds cells that stand above the lowest, at rest or while charging.
 */
#ifndef BALANCE_H
#define BALANCE_H

#include "bms_io.h"

void balance_init(void);

/* Every second, after measure_step. */
void balance_step(const bms_inputs *inputs);

/* Every 10 ms, after state_step: no bleeding in a state that does not allow it. */
void balance_apply(void);

const uint8_t *balance_bits(void); /* [n_cells] 1 = bleed resistor on */
uint32_t balance_count(void);

#endif
