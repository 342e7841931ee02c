/* SPDX-License-Identifier: Apache-2.0
 *
 * limits.h - current limits derated over temperature, state of charge and cell voltage.
 */
#ifndef LIMITS_H
#define LIMITS_H

#include "bms_config.h"

void limits_init(void);

/* Every 10 ms, after state_step: what is not allowed in this state or by an alarm is zero at once. */
void limits_apply(void);

/* Every 100 ms, after limits_apply: falls at once, rises slowly. */
void limits_derate(void);

bool limits_settled(void); /* where their curves have them */
int32_t limits_charge_ma(void);    /* positive number */
int32_t limits_discharge_ma(void);
int32_t limits_charge_mv(void);    /* voltage the charger may regulate to */

#endif
