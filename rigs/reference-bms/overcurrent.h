/* SPDX-License-Identifier: Apache-2.0
 *
 * overcurrent.h - time-current curve in both directions and short circuit.
 */
#ifndef OVERCURRENT_H
#define OVERCURRENT_H

#include "bms_config.h"

/* A short circuit latched from the last power cycle counts as present until the current has been small. */
void overcurrent_init(uint32_t latched_faults);

/* Every 10 ms, after measure_step. */
void overcurrent_step(void);

uint32_t overcurrent_causes(void);

bool overcurrent_pending(void); /* a stage is being timed, or its cause released */ /* FAULT_BIT mask */

#endif
