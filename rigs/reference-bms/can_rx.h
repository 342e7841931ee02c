/* SPDX-License-Identifier: Apache-2.0
 *
 * can_rx.h - reception of VCU_Command, CHG_Status and VCU_Line with counter and CRC.
 */
#ifndef CAN_RX_H
#define CAN_RX_H

#include "state.h"

#define CAN_BYTES 8U

/* Frames refused since power-on. */
typedef struct {
    uint32_t corrupt;         /* wrong CRC, length or counter range */
    uint32_t out_of_sequence; /* repeated, or too far from the one before */
} can_rx_rejects;

void can_rx_init(uint32_t now_ms);

/* Queue a received data frame with 11-bit identifier. Frames for others are dropped, those of a wrong length counted.
 * Returns false when the queue is full. */
bool can_rx_push(uint32_t id, uint32_t length, const uint8_t *data);

/* Every 10 ms, before everything else: work the queue off. */
void can_rx_step(uint32_t now_ms);

bool can_rx_heard(void);             /* a good VCU_Command has come since boot */
bms_mode can_rx_mode(void);
bool can_rx_take_reset(void);        /* a rising edge of FaultReset since the last call */

const can_rx_rejects *can_rx_vehicle_rejects(void);
const can_rx_rejects *can_rx_charger_rejects(void);

/* Put Q_VEHICLE_AGE_MS and Q_CHARGER_AGE_MS: time since the last good frame. The line gets its own. */
void can_rx_put_ages(uint32_t now_ms);

void can_rx_pass(uint32_t ms); /* that much time has passed, and frames went on coming */

#endif
