/* SPDX-License-Identifier: Apache-2.0
 *
 * restbus.c - cyclic messages with alive counter and CRC, and what the other nodes understand of the DUT.
 */
#include "restbus.h"

#include <string.h>

enum { NS_PER_US = 1000 };

static void *copy_in(bh_arena *arena, const void *from, size_t bytes) {
    void *to = bh_take(arena, bytes);
    if (to != NULL && bytes > 0) {
        memcpy(to, from, bytes);
    }
    return to;
}

void bh_restbus_create(bh_arena *arena, bh_restbus *restbus, const bh_config *config) {
    const size_t n = (size_t)config->n_messages;
    restbus->n_messages = config->n_messages;
    restbus->messages = copy_in(arena, config->messages, n * sizeof *config->messages);
    restbus->sending = bh_take(arena, n * sizeof *restbus->sending);
    restbus->checksums = bh_take(arena, n * sizeof *restbus->checksums);
    restbus->n_sent = config->n_sent_fields;
    restbus->sent = copy_in(arena, config->sent_fields, (size_t)config->n_sent_fields * sizeof *config->sent_fields);
    restbus->n_received = config->n_received_fields;
    restbus->received =
        copy_in(arena, config->received_fields, (size_t)config->n_received_fields * sizeof *config->received_fields);
    if (arena->base == NULL) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const bh_message *message = &restbus->messages[i];
        restbus->sending[i].next_ns =
            message->period_us != 0 ? (uint64_t)message->offset_us * NS_PER_US : UINT64_MAX;
        bh_checksum_create(&restbus->checksums[i], message);
    }
    restbus->due_ns = 0;
}

/* ---- one message --------------------------------------------------------------------------------------------- */

static void compose(bh_restbus *restbus, bh_faults *faults, int32_t index, uint64_t at_ns, fil_frame *frame) {
    const bh_message *message = &restbus->messages[index];
    frame->id = message->id;
    frame->flags = message->flags;
    frame->bus = message->bus;
    frame->length = message->length;
    memcpy(frame->data, message->payload, sizeof frame->data);
    for (int32_t i = 0; i < restbus->n_sent; i++) {
        if (restbus->sent[i].message == index) {
            bh_field_encode(&restbus->sent[i], frame->data, restbus->values[restbus->sent[i].value]);
        }
    }
    bh_protect(message, &restbus->checksums[index], &restbus->sending[index].alive, faults, index, at_ns, frame);
}

/* A message that is lost on its way still counts for its sender: the receiver sees the gap. */
static void send_one(bh_restbus *restbus, bh_buses *buses, bh_faults *faults, int32_t index, uint64_t at_ns) {
    fil_frame frame;
    frame.reserved = 0;
    compose(restbus, faults, index, at_ns, &frame);
    const bh_fate fate = bh_faults_message(faults, index, at_ns);
    if (!fate.lost && bh_bus_queue(buses, &frame, restbus->messages[index].node, at_ns + fate.delay_ns) != 0) {
        restbus->lost++;
    }
}

void bh_restbus_send(bh_restbus *restbus, bh_buses *buses, bh_faults *faults, uint64_t from_ns, uint64_t until_ns,
                     int plug) {
    if (restbus->due_ns >= until_ns) {
        return;
    }
    uint64_t due_ns = UINT64_MAX;
    for (int32_t i = 0; i < restbus->n_messages; i++) {
        const bh_message *message = &restbus->messages[i];
        bh_sending *sending = &restbus->sending[i];
        const int may_send = message->enabled && (plug || !message->requires_plug);
        if (sending->once) {
            sending->once = 0;
            if (may_send) {
                send_one(restbus, buses, faults, i, from_ns);
            }
        }
        while (sending->next_ns < until_ns) {
            if (may_send) {
                send_one(restbus, buses, faults, i, sending->next_ns);
            }
            sending->next_ns += (uint64_t)message->period_us * NS_PER_US;
        }
        due_ns = sending->next_ns < due_ns ? sending->next_ns : due_ns;
    }
    restbus->due_ns = due_ns;
}

void bh_restbus_payload(bh_restbus *restbus, int32_t index, const uint8_t *payload, uint64_t now_ns) {
    bh_message *message = &restbus->messages[index];
    memcpy(message->payload, payload, sizeof message->payload);
    if (message->period_us == 0) {
        restbus->sending[index].once = 1;
        restbus->due_ns = now_ns;
    }
}

void bh_restbus_enable(bh_restbus *restbus, int32_t index, int on) {
    restbus->messages[index].enabled = on != 0;
}

/* ---- measured and heard -------------------------------------------------------------------------------------- */

void bh_restbus_measure(bh_restbus *restbus, const bh_truth *truth) {
    restbus->values[BH_VALUE_CHARGER_VOLTAGE_V] = truth->charger_v;
    restbus->values[BH_VALUE_CHARGER_CURRENT_A] = truth->charger_a;
    restbus->values[BH_VALUE_LINK_VOLTAGE_V] = truth->link_v;
    restbus->values[BH_VALUE_VEHICLE_POWER_W] = truth->load_w;
    restbus->values[BH_VALUE_LINE_VOLTAGE_V] = truth->line_v;
    restbus->values[BH_VALUE_POLE_CONTACT] = truth->pole_on;
}

static void take(bh_heard *heard, int32_t value, double number, uint64_t end_ns) {
    switch (value) {
    case BH_VALUE_CHARGE_LIMIT_A:
        heard->charge_limit_a = number;
        heard->limits_ns = end_ns;
        break;
    case BH_VALUE_DISCHARGE_LIMIT_A:
        heard->discharge_limit_a = number;
        heard->limits_ns = end_ns;
        break;
    case BH_VALUE_CHARGE_VOLTAGE_LIMIT_V: heard->charge_voltage_limit_v = number; break;
    case BH_VALUE_READY_TO_DRIVE: heard->ready_to_drive = number != 0.0; break;
    case BH_VALUE_READY_TO_CHARGE: heard->ready_to_charge = number != 0.0; break;
    default: break;
    }
}

void bh_restbus_hear(const bh_restbus *restbus, bh_heard *heard, const fil_frame *frame, uint64_t end_ns) {
    for (int32_t i = 0; i < restbus->n_received; i++) {
        const bh_field *field = &restbus->received[i];
        const int extended = (frame->flags & FIL_FRAME_EXTENDED) != 0;
        if (field->id == frame->id && field->bus == frame->bus && (field->extended != 0) == extended &&
            bh_field_end(field) <= frame->length) {
            take(heard, field->value, bh_field_decode(field, frame->data), end_ns);
        }
    }
}
