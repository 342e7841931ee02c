/* SPDX-License-Identifier: Apache-2.0
 *
 * fault_types.h - the rows of the fault table: where, how and when a fault acts.
 */
#ifndef BH_FAULT_TYPES_H
#define BH_FAULT_TYPES_H

#include <stdint.h>

#include "fil.h"

/* Where a fault acts. Truth first, then what the controller is given, then the bus. */
enum {
    BH_AT_CELL_VOLTAGE = 0,     /* terminal voltage held, V */
    BH_AT_CELL_LEAK_OHM,        /* resistor across the cell: self-discharge or internal short */
    BH_AT_CELL_RESISTANCE,      /* factor on R0, R1, R2 */
    BH_AT_CELL_CAPACITY,        /* factor on the capacity */
    BH_AT_CELL_HEAT_W,          /* extra heat */
    BH_AT_JOINT_OHM,            /* extra resistance of the bus bar behind the cell, seen by its sense wires */
    BH_AT_COOLANT_FLOW,         /* factor 0..1 on the cooling conductance */
    BH_AT_AMBIENT_DEGC,         /* ambient and coolant inlet temperature */
    BH_AT_INSULATION_POSITIVE_OHM,
    BH_AT_INSULATION_NEGATIVE_OHM,
    BH_AT_CONTACTOR_WELDED,     /* index: 0 positive, 1 negative, 2 precharge; active = stays closed */
    BH_AT_CONTACTOR_STUCK_OPEN, /* index as above; active = stays open */
    BH_AT_CONTACTOR_EXTRA_OPEN_S, /* index as above; added to the opening time */
    BH_AT_CONTACTOR_EXTRA_CLOSE_S,
    BH_AT_PRECHARGE_OHM,        /* resistance of the precharge branch; huge = open */
    BH_AT_FUSE_OPEN,
    BH_AT_SUPPLY_V,             /* supply of the controller */
    BH_AT_HVIL_OPEN,
    BH_AT_CRASH,
    BH_AT_CHARGER_IGNORES_LIMITS,
    BH_AT_CHARGER_OVERVOLTAGE_V, /* added to the voltage it regulates to */
    BH_AT_VEHICLE_IGNORES_LIMITS,
    BH_AT_LOAD_W,               /* power asked of the link */
    BH_AT_LINK_SHORT_OHM,       /* resistor across the link */
    BH_AT_CHARGER_REVERSED,     /* the charger takes the current it should give */
    BH_AT_COIL_SUPPLY_V,        /* supply of the contactor coils */
    BH_AT_CONTACTOR_BOUNCE_S,   /* index as above; how long the contact chatters after it has closed */
    BH_AT_CLOCK_FACTOR,         /* of the controller's clock */
    BH_AT_RESET_S,              /* held in reset for so long when the fault becomes active, then it boots */
    BH_AT_NVM_BYTE,             /* at a power-on: this byte of the image inverted */
    BH_AT_NVM_ERASED,           /* at a power-on: the image reads as erased flash, all 0xFF */
    BH_AT_START_TICK_MS,        /* at a power-on: fil_config.start_tick_ms */
    BH_AT_LINE_V,               /* voltage of the overhead line */
    BH_AT_POLE_OFF,             /* the poles leave the overhead line */
    BH_AT_POLE_FED,             /* the vehicle feeds the poles from its link */
    BH_N_TRUTH_POINTS,
    BH_AT_SENSE_CELL_V = 100,   /* what the front end reports, V */
    BH_AT_SENSE_CELL_OPEN_WIRE, /* wire between cell index and index + 1 */
    BH_AT_SENSE_TEMP_DEGC,
    BH_AT_SENSE_CURRENT_A,
    BH_AT_SENSE_PACK_V,
    BH_AT_SENSE_LINK_V,
    BH_AT_SENSE_INSULATION_OHM,
    BH_AT_SENSE_AUX,            /* auxiliary contact; index: 0 positive, 1 negative, 2 precharge */
    BH_AT_SENSE_CELL_SWAP,      /* cells index and index + 1 read each other's voltage */
    BH_AT_SENSE_TEMP_SWAP,      /* the same of sensors */
    BH_AT_SENSE_WIRE_SWAP,      /* wire above cell index and the next one exchanged */
    BH_AT_SENSE_WIRE_SHORT_OHM, /* resistor between the two sense wires of a cell */
    BH_N_GIVEN_POINTS,
    BH_AT_MESSAGE_LOST = 200,   /* index: rest-bus message */
    BH_AT_MESSAGE_DELAY_S,
    /* end-to-end protection of rest-bus message index; op: SET value, ADD value, HOLD, RANDOM; mode: BH_RESUME_* */
    BH_AT_MESSAGE_COUNTER,
    BH_AT_MESSAGE_CRC,
    /* frames by id, bus and sender, when they are asked for: what is bent here is on the wire like that */
    BH_AT_FRAME_DROP,       /* mode 0: never gets onto the wire; 1: its receiver does not get it, the recorder does */
    BH_AT_FRAME_DELAY_S,
    BH_AT_FRAME_JITTER_S,   /* later by 0..value, equally distributed */
    BH_AT_FRAME_DUPLICATE,  /* sent once more, value seconds later */
    BH_AT_FRAME_REORDER,    /* held, and sent behind the next frame of its identifier */
    BH_AT_FRAME_REPLAY_S,   /* the payload of the newest frame of this identifier that is value seconds old or older */
    BH_AT_FRAME_CORRUPT,    /* bits of mask inverted, or value random ones; the CAN checksum is right */
    BH_AT_FRAME_LENGTH,     /* cut to value bytes */
    BH_AT_FRAME_BYTE_ORDER, /* the field's value with its bytes in the wrong order */
    /* attempts to send, as they begin on the wire */
    BH_AT_FRAME_BIT_ERROR,  /* bit value of the frame counted from 1, 0 = any. mode 0: seen by sender and all others;
                               1: by one receiver as a wrong CRC (the DUT, or for its own frames the vehicle) */
    BH_AT_FRAME_ACK,        /* nobody else is there to acknowledge */
    /* a node that does not belong there */
    BH_AT_FOREIGN_SENDER,   /* sends id: the last payload seen there, bits of mask inverted. mode 0: every value
                               seconds; 1: at the same time as the real sender */
    BH_AT_FOREIGN_BABBLE,   /* sends id, mask as payload of `length` bytes, until value (0..1) of the time is used */
    /* fault confinement of `node` on `bus` */
    BH_AT_NODE_TEC,         /* transmit error counter put to value as long as it is lower; count times */
    /* a charger that speaks GB/T 27930; index: BH_GBT_CHM ... or BH_GBT_BHM ... */
    BH_AT_GBT_SILENT = 300, /* it does not send this message; when the fault ends, at once */
    BH_AT_GBT_LATE_S,       /* it sends this message for the first time so long after a stage has begun */
    BH_AT_GBT_DEAF,         /* it does not get this message of the BMS */
    BH_AT_GBT_CML_MAX_V,    /* what CML offers */
    BH_AT_GBT_CML_MIN_V,
    BH_AT_GBT_CML_MAX_A,
    BH_AT_GBT_CRM_RESULT,   /* first byte of CRM */
    BH_AT_GBT_STOP,         /* it ends the session with CST; value: BH_GBT_STOP_* */
    BH_AT_GBT_ERROR,        /* it reports an error with CEM */
    BH_AT_GBT_AGAIN,        /* it begins anew with CHM in the middle of a session */
    BH_AT_GBT_EXTRA_A,      /* it delivers so much more than BCL asks for */
    BH_AT_GBT_EXTRA_V,
    BH_AT_GBT_PERSISTS,     /* it begins anew after every error, however many there were */
    BH_N_GBT_POINTS
};

/* How the counter of a message goes on after a fault. */
enum {
    BH_RESUME_CORRECT = 0, /* as if nothing had happened */
    BH_RESUME_LAST_VALID,  /* behind the last value before the fault */
    BH_RESUME_LAST_SENT    /* behind the last value sent */
};

enum { BH_ANY_ID = 1 << 7, BH_NOT_THE_DUT = 254, BH_ANY = 255 };

/* How it acts on the value found there. */
enum {
    BH_OP_SET = 0,   /* value */
    BH_OP_ADD,       /* found + value */
    BH_OP_SCALE,     /* found * value */
    BH_OP_HOLD,      /* the value found when the fault became active */
    BH_OP_NEGATE,
    BH_OP_INVALID,   /* validity flag cleared, the value stays */
    BH_OP_STALE,     /* held, validity kept, age grows */
    BH_OP_RANDOM,    /* counters and checksums: any wrong value */
    BH_OP_HOLD_FIRST, /* the value found when the plan was made */
    BH_OP_DRIFT,     /* found + value * seconds since the fault became active */
    BH_OP_SPIKE,     /* found +- value in a share `probability` of the samples */
    BH_OP_DELAY,     /* what was there value seconds ago */
    BH_OP_QUANTISE   /* found, to the next multiple of value */
};

/* How it acts over time. The effect s runs from 0 (as found) to 1 (as the op says). */
enum {
    BH_SHAPE_STEP = 0,    /* 1 from from_ns until until_ns; constant and pulse are steps too */
    BH_SHAPE_RAMP,        /* 0 to 1 over ramp_s, then 1 */
    BH_SHAPE_INTERMITTENT, /* 1 for the first duty * period_s of every period_s */
    BH_SHAPE_NOISE        /* 1, and value + sigma * seeded standard normal number, new every tick */
};

typedef struct bh_fault {
    int32_t point; /* BH_AT_* */
    int32_t index; /* cell, sensor, contactor, message; -1 = all */
    int32_t span;  /* so many elements from index on; 0 and 1 = one */
    int32_t op;    /* BH_OP_* */
    int32_t shape; /* BH_SHAPE_* */
    double value;
    double sigma;
    double ramp_s;
    double period_s;
    double duty;
    uint64_t seed;
    uint64_t from_ns;
    uint64_t until_ns; /* exclusive */
    /* faults on messages, frames and nodes: which of those that match are touched */
    uint32_t id;
    uint8_t id_flags; /* FIL_FRAME_EXTENDED; BH_ANY_ID: every identifier */
    uint8_t node;     /* sender: BH_NODE_*, BH_NOT_THE_DUT, BH_ANY */
    uint8_t bus;      /* or BH_ANY */
    uint8_t mode;     /* see the point */
    uint32_t count;   /* at most so many; 0 = no limit */
    uint32_t every;   /* only each every-th; 0 and 1 = each */
    double probability; /* of each of these */
    /* bits of the payload, numbered as in DBC files */
    uint16_t start_bit; /* of a field, or of the stretch that random bits are taken from */
    uint16_t length;    /* 0 = the whole payload; babbling: bytes */
    uint8_t big_endian;
    uint64_t mask; /* bit k = bit k % 8 of byte k / 8 */
} bh_fault;

/* Did the controller get other inputs because of this fault? Kept per fault, in the order of the table. */
typedef struct bh_fault_report {
    uint64_t first_fired_ns; /* UINT64_MAX: never */
    uint64_t last_fired_ns;
    uint32_t active_ticks;
    uint32_t fired_ticks;
} bh_fault_report;

#endif
