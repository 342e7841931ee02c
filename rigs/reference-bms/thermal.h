/* SPDX-License-Identifier: Apache-2.0
 *
 * thermal.h - rise of the temperatures over the last 3 s and the signature of a thermal runaway.
 */
#ifndef THERMAL_H
#define THERMAL_H

#include "bms_io.h"

void thermal_init(void);

/* Every 100 ms, after measure_step. Puts Q_RUNAWAY_HOT and Q_RUNAWAY_DROP. */
void thermal_step(const bms_inputs *inputs);

/* Fastest rise of any valid sensor over the last 3 s, 0.001 K/s; 0 when none rises or the window is not full yet. */
int32_t thermal_rise_mk_per_s(void);

void thermal_pass(void); /* time has passed: the samples before are as the next one */

#endif
