/* SPDX-License-Identifier: Apache-2.0
 *
 * gbt.h - a DC charger that speaks GB/T 27930-2015, right and wrong: its stages, its messages, its time-outs, and the
 * transport (J1939-21) of what the BMS says in several frames.
 *
 * Faults act on what it says and hears: see BH_AT_GBT_* in fault_types.h.
 */
#ifndef BH_GBT_H
#define BH_GBT_H

#include "bus.h"
#include "faults.h"
#include "internal.h"

typedef enum bh_gbt_stage {
    BH_GBT_IDLE = 0, /* not plugged, or about to begin */
    BH_GBT_HELLO,
    BH_GBT_RECOGNISE,
    BH_GBT_RECOGNISED,
    BH_GBT_PARAMETERS,
    BH_GBT_READY,
    BH_GBT_CHARGE,
    BH_GBT_ENDING,
    BH_GBT_STATISTICS,
    BH_GBT_DONE,
    BH_GBT_ERROR,
    BH_GBT_LOCKED /* too many errors: nothing more until it is unplugged */
} bh_gbt_stage;

enum { BH_GBT_TP_BYTES = 1785 };

/* The one message of the BMS that is under way in packets. */
typedef struct bh_gbt_receiver {
    uint32_t pgn; /* 0 = none */
    uint32_t length;
    uint32_t next;     /* packet expected, from 1 */
    uint32_t last;     /* packet cleared */
    uint64_t heard_ns; /* the last frame of it */
    uint8_t clear;     /* a CTS is to be sent */
    uint8_t acknowledge;
    uint8_t data[BH_GBT_TP_BYTES + 7];
} bh_gbt_receiver;

typedef struct bh_gbt {
    uint8_t speaks; /* this rig has such a charger */
    double max_v;
    double min_v;
    double max_a;
    int32_t stage;
    uint64_t since_ns;   /* start of the stage */
    uint64_t begun_ns;   /* from here on it waits for the BMS: it has said what the BMS answers to */
    uint64_t last_ns;    /* the tick before */
    uint64_t due_ns[BH_N_GBT_SENT];
    uint64_t held_ns[BH_N_GBT_SENT]; /* BH_AT_GBT_LATE_S: not sent before */
    uint64_t heard_ns[BH_N_GBT_HEARD]; /* in this session; 0 = not yet */
    uint64_t bro_ready_ns;
    uint64_t cro_ready_ns; /* when CRO(AA) was first sent */
    uint8_t adapted;       /* its output has the voltage of the pack */
    uint32_t late;       /* of CEM */
    uint8_t quiet;       /* an error of the BMS: no CEM */
    uint8_t told;        /* an order of a fault has been obeyed: it counts once */
    uint8_t reason;      /* of CST, one of its four fields */
    int32_t restarts;
    int32_t csd_left;
    double demand_v;     /* of the last BCL */
    double demand_a;
    double charge_as;    /* delivered in this session */
    double charge_s;     /* for so long */
    bh_gbt_receiver receiver;
} bh_gbt;

void bh_gbt_create(bh_gbt *gbt, const bh_environment_config *config);

/* Start of a tick: go on, and queue what is due. */
void bh_gbt_step(bh_gbt *gbt, bh_buses *buses, bh_faults *faults, const bh_truth *truth, int plug, uint64_t now_ns);

/* What the plant's charger is to do. */
void bh_gbt_orders(bh_gbt *gbt, bh_faults *faults, bh_heard *heard, uint64_t now_ns);

/* A frame of the BMS reached the charger. */
void bh_gbt_hear(bh_gbt *gbt, bh_faults *faults, const fil_frame *frame, uint64_t end_ns);

/* ---- between the files ---------------------------------------------------------------------------------------- */

enum { BH_GBT_CHARGER_ADDRESS = 0x56, BH_GBT_BMS_ADDRESS = 0xF4, BH_GBT_YES = 0xAA };

void bh_gbt_enter(bh_gbt *gbt, bh_faults *faults, bh_gbt_stage stage, uint64_t now_ns);

/* Whether a fault acts at a point now, and its value; it counts as fired. */
int bh_gbt_bent(bh_faults *faults, int32_t point, int32_t index, uint64_t now_ns, double *value);

/* gbt_send.c: what is due in this stage. */
void bh_gbt_send(bh_gbt *gbt, bh_buses *buses, bh_faults *faults, const bh_truth *truth, uint64_t now_ns);

/* gbt_tp.c: a frame of the transport; returns the PGN of a message that is complete now, 0 otherwise. */
uint32_t bh_gbt_tp_hear(bh_gbt *gbt, bh_faults *faults, const fil_frame *frame, uint64_t end_ns);
void bh_gbt_tp_send(bh_gbt *gbt, bh_buses *buses, bh_faults *faults, uint64_t now_ns);
/* Which message of the BMS a PGN is, -1 = none. */
int32_t bh_gbt_index_of(uint32_t pgn);

#endif
