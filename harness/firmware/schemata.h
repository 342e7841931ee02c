/* SPDX-License-Identifier: Apache-2.0
 *
 * schemata.h - put in front of each generated source: how a place in the code becomes a switch between the original
 * and its mutants.
 *
 * Two builds of the same text. Without BH_PROBE the mutant with the number bh_mutant is active, 0 = none. With it none
 * is, and every place notes that it was executed (1), and whether its mutant would have given another value (2). A
 * firmware that was never given another value does the same as the original, step by step.
 */
#ifndef BH_SCHEMATA_H
#define BH_SCHEMATA_H

enum { BH_EXECUTED = 1, BH_DIFFERED = 2 };

#ifdef BH_PROBE

extern unsigned char *bh_seen;

#define BH_NONE_OF(first, last) 0

static inline void bh_note(unsigned number, int differed) {
    if (bh_seen != (unsigned char *)0) {
        bh_seen[number] |= (unsigned char)(differed ? (BH_EXECUTED | BH_DIFFERED) : BH_EXECUTED);
    }
}

/* A binary operator: its operands are worked out once, whatever they do. */
#define BH_BINARY(number, left, operator, other, right, mutated)                                                       \
    (__extension__({                                                                                                   \
        __auto_type bh_left_##number = left;                                                                           \
        __auto_type bh_right_##number = right;                                                                         \
        bh_note(number, (bh_left_##number operator bh_right_##number) != (bh_left_##number other bh_right_##number));  \
        bh_left_##number operator bh_right_##number;                                                                   \
    }))
/* An expression without effects: both forms are worked out. */
#define BH_VALUE(number, original, mutated)                                                                            \
    (__extension__({                                                                                                   \
        __auto_type bh_value_##number = original;                                                                      \
        bh_note(number, bh_value_##number != (mutated));                                                               \
        bh_value_##number;                                                                                             \
    }))
/* An expression of which only the original may be worked out: it counts as different. */
#define BH_EITHER(number, original, mutated) (bh_note(number, 1), (original))
/* In front of a statement that is left out. */
#define BH_LEFT_OUT(number) bh_note(number, 1);
/* Around an assignment without other effects that is left out: different when it changes anything. */
#define BH_ASSIGNMENT(number, target, ...)                                                                             \
    {                                                                                                                  \
        __typeof__(target) bh_before_##number = target;                                                                \
        __VA_ARGS__                                                                                                    \
        bh_note(number, __builtin_memcmp(&bh_before_##number, &(target), sizeof bh_before_##number) != 0);             \
    }

#else

/* Not const where it is defined: it is set before the first call and stays, which `const` lets the compiler rely on. */
extern const int bh_mutant;

#define BH_NONE_OF(first, last) ((bh_mutant < (first)) || (bh_mutant > (last)))

#define BH_BINARY(number, left, operator, other, right, mutated)                                                       \
    (bh_mutant == (number) ? (mutated) : (left operator right))
#define BH_VALUE(number, original, mutated) (bh_mutant == (number) ? (mutated) : (original))
#define BH_EITHER(number, original, mutated) (bh_mutant == (number) ? (mutated) : (original))
#define BH_LEFT_OUT(number) if (bh_mutant != (number))
#define BH_ASSIGNMENT(number, target, ...)                                                                             \
    if (bh_mutant != (number)) {                                                                                       \
        __VA_ARGS__                                                                                                    \
    }

#endif

#endif
