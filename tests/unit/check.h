/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * cmocka with the headers it needs, the heads of tests and fixtures that use no state, and checks
 * of calls that fill a struct err named e where they stand. Every test includes it first.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The head of a test that is given nothing. */
#define TEST(name) static void name(__attribute__((unused)) void **state)

/* The head of what sets up or tears down something that no test is given; 0: it went well. */
#define FIXTURE(name) static int name(__attribute__((unused)) void **state)

/* The call succeeds. */
#define ok(call)                                                                                   \
	do {                                                                                       \
		int ok_result = (call);                                                            \
		if (ok_result < 0)                                                                 \
			fail_msg("%s: %d %s", #call, ok_result, e.text);                           \
	} while (0)

#define check_refusal(call, error, agrees)                                                         \
	do {                                                                                       \
		e.text[0] = '\0';                                                                  \
		int refusal = (call);                                                              \
		if (refusal != -(error) || !(agrees))                                              \
			fail_msg("%s: %d \"%s\"", #call, refusal, e.text);                         \
	} while (0)

/* The call fails with that errno, and its sentence has that part, or is that text as a whole. */
#define refused(call, error, part) check_refusal(call, error, strstr(e.text, part))
#define refused_with(call, error, whole) check_refusal(call, error, strcmp(e.text, whole) == 0)

#define assert_says(text, part)                                                                    \
	do {                                                                                       \
		const char *said = (text);                                                         \
		if (!said || !strstr(said, part))                                                  \
			fail_msg("\"%s\" is not in \"%s\"", part, said ? said : "(null)");         \
	} while (0)
