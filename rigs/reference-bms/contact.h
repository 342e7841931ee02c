/* SPDX-License-Identifier: Apache-2.0
 *
 * contact.h - contacts that vibration opens again and again, each time too briefly for a fault: sense wires, interlock.
 */
#ifndef CONTACT_H
#define CONTACT_H

#include "bms_config.h"

void contact_init(void);

/* Every 10 ms, after measure_step: puts Q_CONTACT_LOSSES, how often a contact was lost within contact_window_ms. */
void contact_step(uint32_t now_ms);

bool contact_pending(void); /* a loss is still remembered */

#endif
