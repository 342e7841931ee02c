/* SPDX-License-Identifier: Apache-2.0
 *
 * longrun.h - time that passes at once, for long runs of the harness (fil_idle, fil_pass).
 */
#ifndef LONGRUN_H
#define LONGRUN_H

#include "bms_config.h"

/* Milliseconds from now on in which nothing here would do anything but count; 0 = something is under way. */
uint32_t longrun_idle_ms(uint32_t now_ms);

/* Let whole seconds of them pass, as if every task had run with the inputs of the last one. */
void longrun_pass(uint32_t ms);

#endif
