/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CNI results: documents of every version as golden folders (tests/data/cni_result: the document, the
 * version it is read as, and how each version prints it), and results that are built here.
 */
#include "tests/unit/values.h"

#include "lib/cni_result.h"

#include <arpa/inet.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "tests/unit/golden.h"

static const enum cni_version every_version[] = {
	CNI_0_1_0, CNI_0_2_0, CNI_0_3_0, CNI_0_3_1, CNI_0_4_0, CNI_1_0_0, CNI_1_1_0};
#define EVERY_VERSION (COUNT(every_version))

static void print_as(const struct cni_result *r, enum cni_version v, struct text *t)
{
	CLEANUP_JSON json_t *doc = NULL;
	struct err e;
	int error = cni_result_format(r, v, &doc, &e);
	if (error < 0) {
		text_add(t, "%s: error %d: %s\n", cni_version_text(v), cni_code(error, &e), e.text);
		return;
	}
	CLEANUP_FREE char *text = json_text(doc);
	text_add(t, "%s\n", text);
}

static void run_result(const char *dir, char *out, size_t size)
{
	size_t len = 0;
	CLEANUP_FREE char *version_text = golden_read(dir, "version", NULL);
	CLEANUP_FREE char *document = golden_read(dir, "document", &len);
	assert_non_null(version_text);
	assert_non_null(document);
	enum cni_version v;
	struct err e;
	CLEANUP_JSON json_t *doc = NULL;
	assert_int_equal(cni_version_parse(version_text, &v), 0);
	assert_int_equal(json_parse(document, len, &doc, &e), 0);
	struct text t = {.buf = out, .size = size};
	struct cni_result r;
	int error = cni_result_parse(doc, v, &r, &e);
	if (error < 0) {
		text_add(&t, "error %u: %s\n", cni_code(error, &e), e.text);
		return;
	}
	for (size_t i = 0; i < EVERY_VERSION; i++)
		print_as(&r, every_version[i], &t);
	cni_result_done(&r);
}

TEST(documents_are_read_and_printed_as_recorded)
{
	golden_run("cni_result", run_result);
}

/* What roost answers for a pod of both families. */
static void build(struct cni_result *r)
{
	static const uint8_t host[6] = {0xee, 0xee, 0xee, 0xee, 0xee, 0xee};
	static const uint8_t pod[6] = {2, 0, 0, 0, 0, 0xAB};
	cni_result_init(r);
	assert_int_equal(cni_result_add_interface(r, "roost644221c1", host, NULL, 0), 0);
	assert_int_equal(cni_result_add_interface(r, "eth0", pod, "/run/netns/x", 1480), 1);
	struct cidr a4 = cidr("10.93.0.12/32");
	struct cidr a6 = cidr("fd00:93::3/128");
	struct cidr gw4 = cidr("169.254.1.1/32");
	struct cidr gw6 = cidr("fe80::1/128");
	struct cidr all4 = cidr("0.0.0.0/0");
	struct cidr all6 = cidr("::/0");
	cni_result_add_ip(r, &a4, &gw4.addr, 1);
	cni_result_add_ip(r, &a6, &gw6.addr, 1);
	cni_result_add_route(r, &all4, &gw4.addr);
	cni_result_add_route(r, &all6, &gw6.addr);
}

TEST(built_results_print_in_every_version)
{
	static const char lists[] =
		"\"interfaces\":[{\"name\":\"roost644221c1\",\"mac\":\"ee:ee:ee:ee:ee:ee\"},"
		"{\"name\":\"eth0\",\"mac\":\"02:00:00:00:00:ab\",\"sandbox\":\"/run/netns/x\"}],"
		"\"ips\":[{\"interface\":1,\"address\":\"10.93.0.12/32\","
		"\"gateway\":\"169.254.1.1\"},"
		"{\"interface\":1,\"address\":\"fd00:93::3/128\",\"gateway\":\"fe80::1\"}],"
		"\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"169.254.1.1\"},"
		"{\"dst\":\"::/0\",\"gw\":\"fe80::1\"}]}\n";
	struct cni_result r;
	build(&r);
	char out[4096];
	struct text t = TEXT_ON(out);
	print_as(&r, CNI_1_0_0, &t);
	assert_says(out, lists);
	t.len = 0;
	print_as(&r, CNI_0_2_0, &t);
	assert_string_equal(out, "{\"cniVersion\":\"0.2.0\",\"ip4\":{\"ip\":\"10.93.0.12/32\","
				 "\"gateway\":\"169.254.1.1\","
				 "\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"169.254.1.1\"}]},"
				 "\"ip6\":{\"ip\":\"fd00:93::3/128\",\"gateway\":\"fe80::1\","
				 "\"routes\":[{\"dst\":\"::/0\",\"gw\":\"fe80::1\"}]}}\n");
	t.len = 0;
	print_as(&r, CNI_1_1_0, &t);
	assert_says(out, "\"mtu\":1480");
	cni_result_done(&r);
}

TEST(what_is_printed_can_be_read_again)
{
	struct cni_result r;
	build(&r);
	for (size_t i = 0; i < EVERY_VERSION; i++) {
		CLEANUP_JSON json_t *first = NULL;
		CLEANUP_JSON json_t *second = NULL;
		struct cni_result again;
		struct err e;
		enum cni_version v = every_version[i];
		assert_int_equal(cni_result_format(&r, v, &first, &e), 0);
		assert_int_equal(cni_result_parse(first, v, &again, &e), 0);
		assert_int_equal(cni_result_format(&again, v, &second, &e), 0);
		assert_true(json_equal(first, second));
		cni_result_done(&again);
	}
	cni_result_done(&r);
}

TEST(a_gateway_without_family_is_left_out)
{
	struct cni_result r;
	cni_result_init(&r);
	struct addr none = {0};
	struct cidr address = cidr("10.0.0.1/24");
	cni_result_add_ip(&r, &address, &none, -1);
	cni_result_add_route(&r, &address, NULL);
	char out[512];
	struct text t = TEXT_ON(out);
	print_as(&r, CNI_1_1_0, &t);
	assert_string_equal(out,
		"{\"cniVersion\":\"1.1.0\",\"ips\":[{\"address\":\"10.0.0.1/24\"}],"
		"\"routes\":[{\"dst\":\"10.0.0.1/24\"}]}\n");
	cni_result_done(&r);
}

TEST(empty_dns_leaves_what_is_there)
{
	struct cni_result r;
	cni_result_init(&r);
	CLEANUP_JSON json_t *some = json_pack("{s:[s]}", "nameservers", "10.0.0.1");
	CLEANUP_JSON json_t *empty = json_object();
	CLEANUP_JSON json_t *wrong = json_pack("{s:i}", "nameservers", 1);
	cni_result_set_dns(&r, some);
	cni_result_set_dns(&r, empty);
	cni_result_set_dns(&r, NULL);
	cni_result_set_dns(&r, wrong);
	assert_true(json_equal(r.dns, some));
	cni_result_done(&r);
}

/* Points stdout at fd for one call. */
static int print_to(int fd, const struct cni_result *r, struct err *e)
{
	(void)fflush(stdout);
	int saved = dup(STDOUT_FILENO);
	assert_true(dup2(fd, STDOUT_FILENO) >= 0);
	int error = cni_result_print(r, CNI_0_4_0, e);
	(void)dup2(saved, STDOUT_FILENO);
	(void)close(saved);
	return error;
}

TEST(printing_is_one_line_and_a_full_disk_is_code_5)
{
	struct cni_result r;
	struct err e;
	cni_result_init(&r);
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(print_to(fds[1], &r, &e), 0);
	char out[64] = "";
	assert_true(read(fds[0], out, sizeof(out) - 1) > 0);
	assert_string_equal(out, "{\"cniVersion\":\"0.4.0\"}\n");
	(void)close(fds[0]);
	(void)close(fds[1]);
	FILE *full = fopen("/dev/full", "we");
	assert_non_null(full);
	assert_int_equal(print_to(fileno(full), &r, &e), -EIO);
	assert_int_equal(cni_code(-EIO, &e), 5);
	(void)fclose(full);
	cni_result_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_are_read_and_printed_as_recorded),
		cmocka_unit_test(built_results_print_in_every_version),
		cmocka_unit_test(what_is_printed_can_be_read_again),
		cmocka_unit_test(a_gateway_without_family_is_left_out),
		cmocka_unit_test(empty_dns_leaves_what_is_there),
		cmocka_unit_test(printing_is_one_line_and_a_full_disk_is_code_5),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
