/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One descriptor for many: what wakes it, and what makes it quiet.
 */
#include "tests/unit/check.h"

#include "lib/wait.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/boot.h"

struct fixture {
	struct wait wait;
	int in, out; /* a pipe */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e;
	int ends[2];
	if (!f || pipe(ends) < 0 || wait_open(&f->wait, &e) < 0)
		return -1;
	f->in = ends[0];
	f->out = ends[1];
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	wait_close(&f->wait);
	(void)close(f->in);
	(void)close(f->out);
	free(f);
	return 0;
}

static bool wakes(const struct wait *w)
{
	struct pollfd p = {.fd = wait_fd(w), .events = POLLIN};
	return poll(&p, 1, 0) > 0;
}

static void a_ready_descriptor_wakes_and_is_told_by_its_token(void **state)
{
	struct fixture *f = *state;
	struct epoll_event ready[4];
	struct err e;
	assert_int_equal(wait_add(&f->wait, f->in, EPOLLIN, 17, &e), 0);
	assert_false(wakes(&f->wait));
	assert_int_equal(wait_ready(&f->wait, ready, 4), 0);
	assert_int_equal(write(f->out, "x", 1), 1);
	for (int i = 0; i < 2; i++) { /* until it is read */
		assert_true(wakes(&f->wait));
		assert_int_equal(wait_ready(&f->wait, ready, 4), 1);
		assert_int_equal(ready[0].data.u64, 17);
		assert_int_equal(ready[0].events, EPOLLIN);
	}
	wait_change(&f->wait, f->in, 0, 17);
	assert_false(wakes(&f->wait));
	wait_change(&f->wait, f->in, EPOLLIN, 18);
	assert_int_equal(wait_ready(&f->wait, ready, 4), 1);
	assert_int_equal(ready[0].data.u64, 18);
	wait_remove(&f->wait, f->in);
	assert_false(wakes(&f->wait));
}

static void a_time_wakes_once_and_is_no_event(void **state)
{
	struct fixture *f = *state;
	struct epoll_event ready[4];
	wait_at(&f->wait, boot_now_ms() + 20);
	wait_block(&f->wait);
	assert_true(wakes(&f->wait));
	assert_int_equal(wait_ready(&f->wait, ready, 4), 0);
	assert_false(wakes(&f->wait));
}

static void a_time_in_the_past_wakes_at_once_and_a_new_one_forgets_it(void **state)
{
	struct fixture *f = *state;
	const int64_t past[] = {-5, 0, 1, boot_now_ms()};
	for (size_t i = 0; i < COUNT(past); i++) {
		wait_at(&f->wait, past[i]);
		wait_block(&f->wait);
		assert_true(wakes(&f->wait));
		wait_at(&f->wait, WAIT_NEVER);
		assert_false(wakes(&f->wait));
	}
}

static void the_time_does_not_hide_a_descriptor(void **state)
{
	struct fixture *f = *state;
	struct epoll_event ready[4];
	struct err e;
	assert_int_equal(wait_add(&f->wait, f->in, EPOLLIN, 17, &e), 0);
	assert_int_equal(write(f->out, "x", 1), 1);
	wait_at(&f->wait, 1);
	wait_block(&f->wait);
	assert_int_equal(wait_ready(&f->wait, ready, 4), 1);
	assert_int_equal(ready[0].data.u64, 17);
}

static void what_cannot_be_watched_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct err e;
	refused_with(wait_add(&f->wait, -1, EPOLLIN, 0, &e), EBADF,
		"cannot watch a descriptor: Bad file descriptor");
	assert_int_equal(wait_add(&f->wait, f->in, EPOLLIN, 0, &e), 0);
	assert_int_equal(wait_add(&f->wait, f->in, EPOLLIN, 0, &e), -EEXIST);
}

#define WITH_WAIT(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_WAIT(a_ready_descriptor_wakes_and_is_told_by_its_token),
		WITH_WAIT(a_time_wakes_once_and_is_no_event),
		WITH_WAIT(a_time_in_the_past_wakes_at_once_and_a_new_one_forgets_it),
		WITH_WAIT(the_time_does_not_hide_a_descriptor),
		WITH_WAIT(what_cannot_be_watched_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
