/* SPDX-License-Identifier: Apache-2.0
 *
 * seeded_step.h - seeded defects in how a step from floatinging to load is taken (defects.toml, 220 to 224).
 */
#ifndef SEEDED_STEP_H
#define SEEDED_STEP_H

#include "bms_config.h"

void seeded_step_init(void);

/* Once a task, after everything was measured. */
void seeded_step(void);

/* Each is what it is given, unless its defect is switched on and has something against it. */
int32_t seeded_step_confirm_ms(int32_t confirm_ms);
int32_t seeded_step_charge_permille(int32_t permille);
int32_t seeded_step_discharge_permille(int32_t permille);

#endif
