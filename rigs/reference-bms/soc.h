/* SPDX-License-Identifier: Apache-2.0
 *
 * soc.h - state of charge: coulomb counting, corrected from the open-circuit voltage after a rest.
 */
#ifndef SOC_H
#define SOC_H

#include "bms_config.h"

/* stored_uah: charge kept over the power cycle, or < 0 when there is none. */
void soc_init(int64_t stored_uah, uint32_t throughput_mah);

void soc_count(void);       /* every 10 ms, after measure_step */
void soc_step(void);        /* every 100 ms: puts Q_SOC_PERMILLE */
void soc_rest_step(void);   /* every second */

int64_t soc_charge_uah(void);        /* < 0: not known yet */
uint32_t soc_throughput_mah(void);   /* charged since manufacture */
uint32_t soc_rest_seconds(void);

uint32_t soc_to_rest_ms(void);   /* until the next look at the rested voltage; UINT32_MAX = none comes */
uint32_t soc_to_step_ms(void);   /* until the state of charge is another by a permille */
void soc_pass(uint32_t seconds); /* so many have passed with the present current */     /* how long the current has been small */

#endif
