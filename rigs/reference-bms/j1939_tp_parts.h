/* SPDX-License-Identifier: Apache-2.0
 *
 * j1939_tp_parts.h - what the parts of the transport know of each other. Nobody else includes it.
 */
#ifndef J1939_TP_PARTS_H
#define J1939_TP_PARTS_H

#include "j1939_tp.h"

/* First byte of a connection frame. */
enum { TP_RTS = 16, TP_CTS = 17, TP_END = 19, TP_BAM = 32, TP_ABORT = 255 };

/* Reasons of an abort. */
enum { TP_BUSY = 1, TP_RESOURCES = 2, TP_TIMEOUT = 3, TP_RETRANSMITS = 5 };

#define TP_HEAD_BYTES 5U
#define TP_PACKET_BYTES 7U
#define TP_PRIORITY 7U /* of what the receiver says */

#define TP_TH_MS 500U
#define TP_T1_MS 750U
#define TP_T2_MS 1250U
#define TP_T3_MS 1250U
#define TP_T4_MS 1050U
#define TP_GAP_MS 50U /* between the packets of a broadcast */

static inline uint32_t tp_packets(uint32_t length) {
    return (length + TP_PACKET_BYTES - 1U) / TP_PACKET_BYTES;
}

/* Bytes in packet `number`, counted from 1, of a message. */
static inline uint32_t tp_packet_bytes(uint32_t length, uint32_t number) {
    const uint32_t rest = length - ((number - 1U) * TP_PACKET_BYTES);
    return (rest < TP_PACKET_BYTES) ? rest : TP_PACKET_BYTES;
}

uint8_t tp_own(void);
uint32_t tp_now_ms(void);
void tp_failed(void);

/* head: the first five bytes. */
void tp_put_connection(uint8_t priority, uint8_t destination, const uint8_t *head, uint32_t pgn);
void tp_put_abort(uint8_t destination, uint8_t reason, uint32_t pgn);
void tp_put_packet(uint8_t priority, uint8_t destination, uint8_t number, const uint8_t *bytes, uint32_t length);

void tp_sender_reset(void);
void tp_sender_step(void);
bool tp_sender_busy(void);
void tp_sender_answer(uint8_t source, const uint8_t *data, uint32_t pgn); /* CTS or end of message */
void tp_sender_abort(uint8_t source, uint32_t pgn);

void tp_receiver_reset(void);
void tp_receiver_step(void);
bool tp_receiver_busy(void);
void tp_receiver_open(uint8_t source, uint8_t destination, const uint8_t *data, uint32_t pgn); /* RTS or BAM */
void tp_receiver_packet(uint8_t source, uint8_t destination, const uint8_t *data);
void tp_receiver_abort(uint8_t source, uint32_t pgn);

#endif
