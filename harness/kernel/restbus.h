/* SPDX-License-Identifier: Apache-2.0
 *
 * restbus.h - the other nodes on the bus: cyclic messages out, limits and states of the DUT in.
 */
#ifndef BH_RESTBUS_H
#define BH_RESTBUS_H

#include "bus.h"
#include "faults.h"
#include "internal.h"
#include "protect.h"

/* What changes while a cyclic message is sent again and again. */
typedef struct bh_sending {
    uint64_t next_ns; /* UINT64_MAX: not cyclic */
    bh_alive alive;
    uint8_t once; /* a payload was set and the message has no period: send it once */
} bh_sending;

typedef struct bh_restbus {
    int32_t n_messages;
    bh_message *messages;    /* [n_messages] payload and enabled change by events */
    bh_sending *sending;     /* [n_messages] */
    bh_checksum *checksums;  /* [n_messages] */
    int32_t n_sent;
    bh_field *sent; /* [n_sent] */
    int32_t n_received;
    bh_field *received; /* [n_received] */
    double values[BH_N_VALUES]; /* measured at the end of the last tick */
    uint64_t due_ns;    /* earliest next_ns of all messages */
    uint64_t lost;      /* messages for which the bus had no room */
} bh_restbus;

void bh_restbus_create(bh_arena *arena, bh_restbus *restbus, const bh_config *config);

/* Queue what is due in [from_ns, until_ns). */
void bh_restbus_send(bh_restbus *restbus, bh_buses *buses, bh_faults *faults, uint64_t from_ns, uint64_t until_ns,
                     int plug);

/* Events: a new payload, or a message on and off. index must exist. */
void bh_restbus_payload(bh_restbus *restbus, int32_t index, const uint8_t *payload, uint64_t now_ns);
void bh_restbus_enable(bh_restbus *restbus, int32_t index, int on);

/* What vehicle and charger measure, for the messages of the next tick. */
void bh_restbus_measure(bh_restbus *restbus, const bh_truth *truth);

/* A frame of the DUT reached the others. */
void bh_restbus_hear(const bh_restbus *restbus, bh_heard *heard, const fil_frame *frame, uint64_t end_ns);

/* Bytes a payload must have to hold the field. */
uint32_t bh_field_end(const bh_field *field);

/* Number fields in payloads, DBC bit numbering. encode rounds and clips to what the field can carry. */
void bh_field_encode(const bh_field *field, uint8_t *payload, double value);
double bh_field_decode(const bh_field *field, const uint8_t *payload);
/* The bits alone. */
uint64_t bh_field_raw(const bh_field *field, const uint8_t *payload);
void bh_field_put_raw(const bh_field *field, uint8_t *payload, uint64_t raw);

#endif
