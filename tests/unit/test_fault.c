/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps whose file is cut, and readers that go astray: within a section an answer, outside a crash.
 */
#include "tests/unit/check.h"

#include "lib/fault.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define PAGES 8

static volatile char *map_of_ones(FILE **out)
{
	char ones[PAGE];
	memset(ones, 1, sizeof(ones));
	fault_install();
	*out = tmpfile();
	assert_non_null(*out);
	for (int i = 0; i < PAGES; i++)
		assert_int_equal(write(fileno(*out), ones, PAGE), PAGE);
	void *map = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED, fileno(*out), 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	return map;
}

static int sum_of(volatile const char *map, bool *over)
{
	int sum = 0;
	for (int i = 0; i < PAGES; i++)
		sum += map[i * PAGE];
	*over = true;
	return sum;
}

TEST(a_section_tells_that_the_file_was_cut)
{
	FILE *f;
	volatile char *map = map_of_ones(&f);
	bool over = false;
	assert_int_equal(FAULT_TRY(sum_of(map, &over), -1), PAGES);
	assert_int_equal(ftruncate(fileno(f), 3 * PAGE), 0);
	over = false;
	assert_int_equal(FAULT_TRY(sum_of(map, &over), -1), -1);
	assert_true(over); /* the reader came to its end */
	/* What was replaced stays so: who was told has to map the file anew. */
	assert_int_equal(FAULT_TRY(sum_of(map, &over), -1), 3);
	munmap((void *)map, PAGES * PAGE);
	fclose(f);
}

static int outer_of(volatile const char *map)
{
	bool over;
	return FAULT_TRY(sum_of(map, &over), -2);
}

TEST(an_outer_section_hears_of_the_fault_of_an_inner_one)
{
	FILE *f;
	volatile char *map = map_of_ones(&f);
	assert_int_equal(ftruncate(fileno(f), 0), 0);
	assert_int_equal(FAULT_TRY(outer_of(map), -1), -1);
	munmap((void *)map, PAGES * PAGE);
	fclose(f);
}

static int read_nowhere(void)
{
	volatile char *nowhere = (char *)(uintptr_t)(16 * PAGE + 1);
	return *nowhere;
}

static int fail_an_assertion(void)
{
	fault_raise();
}

static int go_astray_inside(void)
{
	int r = FAULT_TRY(read_nowhere(), -2);
	return r + FAULT_TRY(fail_an_assertion(), -3);
}

TEST(a_reader_that_goes_astray_is_left)
{
	fault_install();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(FAULT_TRY(read_nowhere(), -1), -1);
		assert_int_equal(FAULT_TRY(fail_an_assertion(), -1), -1);
		assert_int_equal(FAULT_TRY(go_astray_inside(), -1), -5);
	}
}

static void read_a_cut_map(void)
{
	FILE *f;
	volatile char *map = map_of_ones(&f);
	if (ftruncate(fileno(f), 0) < 0)
		_exit(56);
	_exit(map[0] ? 57 : 58);
}

static void read_nowhere_outside(void)
{
	_exit(read_nowhere());
}

static int send_to_ourselves(void)
{
	return kill(getpid(), SIGBUS);
}

static void hear_from_somebody(void)
{
	fault_install();
	_exit(FAULT_TRY(send_to_ourselves(), 57));
}

TEST(outside_of_a_section_a_fault_is_a_crash)
{
	static const struct {
		void (*trouble)(void);
		int signal;
	} cases[] = {{read_a_cut_map, SIGBUS}, {read_nowhere_outside, SIGSEGV},
		{hear_from_somebody, SIGBUS}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		(void)fflush(NULL);
		pid_t pid = fork();
		if (pid == 0) {
			fault_install();
			cases[i].trouble();
			_exit(55);
		}
		int status = 0;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), cases[i].signal);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_section_tells_that_the_file_was_cut),
		cmocka_unit_test(an_outer_section_hears_of_the_fault_of_an_inner_one),
		cmocka_unit_test(a_reader_that_goes_astray_is_left),
		cmocka_unit_test(outside_of_a_section_a_fault_is_a_crash),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
