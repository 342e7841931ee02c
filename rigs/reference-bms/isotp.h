/* SPDX-License-Identifier: Apache-2.0
 *
 * isotp.h - transport of diagnostic messages over CAN frames of 8 bytes, ISO 15765-2 with normal addressing.
 */
#ifndef ISOTP_H
#define ISOTP_H

#include "bms_config.h"

#define ISOTP_ID_REQUEST 0x7E0U
#define ISOTP_ID_RESPONSE 0x7E8U
#define ISOTP_MAX 160U /* bytes of a message, both ways */

void isotp_init(void);

bool isotp_busy(void); /* a request or an answer is under way */

/* Queue a frame that was received with ISOTP_ID_REQUEST. One too many is lost. */
void isotp_push(uint32_t length, const uint8_t *data);

/* Every 10 ms: take what was received and send what is due. Returns the length of a request that is complete, at most
 * one in a step; 0 = none. The request stays in *request until the next call. */
uint32_t isotp_step(uint32_t now_ms, const uint8_t **request);

/* Answer. What is still being sent is given up. */
void isotp_send(uint32_t now_ms, const uint8_t *message, uint32_t length);

#endif
