/* SPDX-License-Identifier: Apache-2.0
 *
 * uds.h - diagnostic services of ISO 14229-1, off unless the parameter `uds` is 1.
 */
#ifndef UDS_H
#define UDS_H

#include "bms_config.h"

void uds_init(uint32_t now_ms);

/* A received data frame. Returns whether it was for the diagnostics. */
bool uds_push(uint32_t id, uint32_t length, const uint8_t *data);

/* Every 10 ms, after dtc_step and before can_tx_step. */
void uds_step(uint32_t now_ms);

/* Whether a reset was asked for and its answer has been sent: restart now. */
bool uds_take_reset(void);

bool uds_busy(void); /* a tester has a session, or is being answered */

#endif
