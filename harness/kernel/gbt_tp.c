/* SPDX-License-Identifier: Apache-2.0
 *
 * gbt_tp.c - messages of the BMS that come in several frames (J1939-21, RTS/CTS). The charger itself says nothing that
 * long. What it answers goes out with the next tick.
 */
#include "gbt.h"

#include <string.h>

enum { RTS = 16, CTS = 17, END = 19, ABORT = 255, PACKET = 7, LEAST = 9 };

static const uint64_t T2_NS = 1250000000; /* nothing more comes: forget it */

static uint32_t packets(uint32_t length) {
    return (length + PACKET - 1) / PACKET;
}

static void open(bh_gbt *gbt, bh_faults *faults, const uint8_t *data, uint64_t end_ns) {
    bh_gbt_receiver *receiver = &gbt->receiver;
    const uint32_t pgn = (uint32_t)data[5] | (uint32_t)data[6] << 8 | (uint32_t)data[7] << 16;
    const uint32_t length = (uint32_t)data[1] | (uint32_t)data[2] << 8;
    const int32_t message = bh_gbt_index_of(pgn);
    double value = 0.0;
    if (length < LEAST || length > BH_GBT_TP_BYTES || data[3] != packets(length) ||
        (message >= 0 && bh_gbt_bent(faults, BH_AT_GBT_DEAF, message, end_ns, &value))) {
        return;
    }
    receiver->pgn = pgn;
    receiver->length = length;
    receiver->next = 1;
    receiver->last = packets(length);
    receiver->heard_ns = end_ns;
    receiver->clear = 1;
    receiver->acknowledge = 0;
}

/* A packet out of order is asked for again, and everything behind it. */
static uint32_t packet(bh_gbt_receiver *receiver, const uint8_t *data, uint64_t end_ns) {
    if (receiver->pgn == 0 || data[0] < receiver->next || end_ns > receiver->heard_ns + T2_NS) {
        return 0;
    }
    receiver->heard_ns = end_ns;
    if (data[0] > receiver->next) {
        receiver->clear = 1;
        return 0;
    }
    memcpy(receiver->data + (size_t)(receiver->next - 1) * PACKET, data + 1, PACKET);
    receiver->next++;
    if (receiver->next <= packets(receiver->length)) {
        return 0;
    }
    receiver->acknowledge = 1;
    return receiver->pgn;
}

uint32_t bh_gbt_tp_hear(bh_gbt *gbt, bh_faults *faults, const fil_frame *frame, uint64_t end_ns) {
    const int connection = (frame->id >> 16 & 0xFF) == 0xEC;
    if (frame->length != 8) {
        return 0;
    }
    if (!connection) {
        return packet(&gbt->receiver, frame->data, end_ns);
    }
    if (frame->data[0] == RTS) {
        open(gbt, faults, frame->data, end_ns);
    } else if (frame->data[0] == ABORT) {
        gbt->receiver.pgn = 0;
    }
    return 0;
}

static void answer(bh_gbt *gbt, bh_buses *buses, const uint8_t *head, uint64_t now_ns) {
    fil_frame frame = {.id = UINT32_C(0x1CEC0000) | BH_GBT_BMS_ADDRESS << 8 | BH_GBT_CHARGER_ADDRESS,
                       .flags = FIL_FRAME_EXTENDED,
                       .length = 8};
    memcpy(frame.data, head, 5);
    frame.data[5] = (uint8_t)gbt->receiver.pgn;
    frame.data[6] = (uint8_t)(gbt->receiver.pgn >> 8);
    frame.data[7] = (uint8_t)(gbt->receiver.pgn >> 16);
    (void)bh_bus_queue(buses, &frame, BH_NODE_CHARGER, now_ns);
}

void bh_gbt_tp_send(bh_gbt *gbt, bh_buses *buses, bh_faults *faults, uint64_t now_ns) {
    bh_gbt_receiver *receiver = &gbt->receiver;
    double value = 0.0;
    if (receiver->pgn == 0 || (!receiver->clear && !receiver->acknowledge) ||
        bh_gbt_bent(faults, BH_AT_GBT_SILENT, BH_GBT_TRANSPORT, now_ns, &value)) {
        return;
    }
    if (receiver->acknowledge) {
        const uint8_t head[5] = {END, (uint8_t)receiver->length, (uint8_t)(receiver->length >> 8),
                                 (uint8_t)packets(receiver->length), 0xFF};
        answer(gbt, buses, head, now_ns);
        receiver->pgn = 0;
    } else {
        const uint8_t head[5] = {CTS, (uint8_t)(packets(receiver->length) + 1 - receiver->next),
                                 (uint8_t)receiver->next, 0xFF, 0xFF};
        answer(gbt, buses, head, now_ns);
    }
    receiver->clear = 0;
    receiver->acknowledge = 0;
}
