/* SPDX-License-Identifier: Apache-2.0
 *
 * j1939_tp.h - transport of messages of 9 to 1785 bytes over 29-bit frames, sender and receiver: broadcast (BAM) and
 * point to point (RTS/CTS). Frames are queued in can_queue.
 *
 * Times out as J1939-21 says: Tr 200, Th 500, T1 750, T2 1250, T3 1250, T4 1050 ms; 50 ms between packets of a
 * broadcast. Who gives up tells the other side (Abort).
 */
#ifndef J1939_TP_H
#define J1939_TP_H

#include "bms_config.h"

#define J1939_GLOBAL 0xFFU
#define J1939_NULL 0xFEU /* address of nobody */
#define J1939_TP_LEAST 9U
#define J1939_TP_MOST 1785U

/* A complete message received; data is valid until the next call of j1939_tp_step or j1939_tp_push. */
typedef struct {
    uint32_t pgn;
    uint8_t source;
    uint8_t destination; /* own address or J1939_GLOBAL */
    const uint8_t *data;
    uint32_t length;
} j1939_message;

/* With J1939_NULL as own address nothing is received and nothing answered: the function is off. */
void j1939_tp_init(uint8_t own_address);

/* Take a message to be sent, copied. Messages to one destination follow each other in the order they were given, and so
 * do broadcasts. Returns false when the length does not fit or all buffers wait. */
bool j1939_tp_send(uint32_t pgn, uint8_t destination, uint8_t priority, const uint8_t *data, uint32_t length);

/* Whether a message of this PGN still waits or is under way. */
bool j1939_tp_sending(uint32_t pgn);

/* Forget everything under way, without a word to the other side. */
void j1939_tp_reset(void);

/* Every 10 ms: send what is due, give up what is overdue. */
void j1939_tp_step(uint32_t now_ms);

/* A frame with 29-bit identifier came. Returns whether it was one of the transport, for whomever. */
bool j1939_tp_push(uint32_t id, uint32_t length, const uint8_t *data);

/* Whether anything is under way, in or out. */
bool j1939_tp_busy(void);

/* The oldest message that is complete; it is gone with the next call of j1939_tp_step or j1939_tp_push. */
bool j1939_tp_poll(j1939_message *message);

/* Connections given up so far, by either side. */
uint32_t j1939_tp_failures(void);

/* Identifier of a message: with a PDU1 PGN the destination goes into it. */
static inline uint32_t j1939_id(uint8_t priority, uint32_t pgn, uint8_t destination, uint8_t source) {
    const bool addressed = ((pgn >> 8U) & 0xFFU) < 0xF0U;
    return ((uint32_t)priority << 26U) | ((addressed ? ((pgn & 0x3FF00U) | destination) : pgn) << 8U) | source;
}

#endif
