# SPDX-License-Identifier: MIT
# A workload for libstdc++: streams, locales, containers, regex, threads, throws.
# bash cxx.sh DIRECTORY [TIMES]
# The program is made once, by the first run.
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
export LC_ALL=C
cat >work.cc <<'EOF'
#include <algorithm>
#include <any>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iomanip>
#include <iostream>
#include <list>
#include <locale>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <valarray>
#include <variant>
#include <vector>
namespace fs = std::filesystem;

struct base { virtual ~base() = default; virtual int id() const = 0; };
struct derived : base { int n; explicit derived(int n) : n(n) {}
	int id() const override { return n; } };
struct guard { const char *n; ~guard() { std::cout << "~" << n << ' '; } };

static int thrower(int k)
{
	guard g{ "guard" };
	switch (k) {
	case 0: throw std::out_of_range("range");
	case 1: throw std::system_error(ENOENT, std::generic_category());
	case 2: return std::stoi("not a number");
	case 3: return std::vector<int>(2).at(5);
	case 4: return std::any_cast<int>(std::any(2.5));
	case 5: return std::get<int>(std::variant<int, char>('x'));
	case 6: return std::optional<int>().value();
	case 7: return dynamic_cast<derived &>(*std::unique_ptr<base>(
			new derived(3))).id();
	case 8: return std::string("abc").substr(9).size();
	case 9: throw 42;
	}
	return std::bad_function_call().what()[0] ? std::function<int()>()() : 0;
}
static void rethrow()
{
	try { thrower(0); }
	catch (...) { std::throw_with_nested(std::runtime_error("outer")); }
}
int main()
{
	std::mt19937 rnd(7);
	time_t zero = 0;
	std::vector<int> v(50);
	std::generate(v.begin(), v.end(), [&] { return rnd() % 100; });
	std::sort(v.begin(), v.end());
	std::map<std::string, std::vector<int>> m;
	for (int i : v) m["k" + std::to_string(i % 7)].push_back(i);
	for (auto &[k, w] : m)
		std::cout << k << '=' << std::accumulate(w.begin(), w.end(), 0) << ' ';
	std::cout << std::setw(8) << std::setfill('*') << std::hex << 255 << std::dec
		<< ' ' << std::fixed << std::setprecision(3) << 3.14159 << ' '
		<< std::scientific << 12345.678 << std::boolalpha << ' ' << true << '\n';
	std::istringstream in("12 3.5 word 0x1f rest of line");
	int i, h; double d; std::string s, line;
	in >> i >> d >> s >> std::hex >> h;
	std::getline(in, line);
	std::cout << i << d << s << h << line << in.eof() << '\n';
	std::regex re("(\\w+)@(\\w+)\\.org");
	std::string text = "mail ann@example.org or bob@test.org";
	for (std::sregex_iterator it(text.begin(), text.end(), re), e; it != e; ++it)
		std::cout << (*it)[1] << ' ' << std::regex_replace(it->str(), re, "$2") << ' ';
	for (int k = 0; k < 11; k++)
		try { std::cout << thrower(k) << '\n'; }
		catch (const std::exception &e) { std::cout << e.what() << '\n'; }
		catch (int n) { std::cout << n << '\n'; }
	try { rethrow(); }
	catch (const std::exception &e) {
		std::cout << e.what() << '\n';
		try { std::rethrow_if_nested(e); }
		catch (const std::exception &f) { std::cout << f.what() << '\n'; }
	}
	{ std::ofstream out("file"); for (int k = 0; k < 99; k++) out << k << '\n'; }
	std::ifstream f("file");
	f.exceptions(std::ios::badbit);
	int sum = 0, k;
	while (f >> k) sum += k;
	std::cout << sum << ' ' << fs::file_size("file") << ' ' << fs::exists("none")
		<< ' ' << fs::path("/a/b.c").extension() << '\n';
	std::error_code ec;
	fs::create_directories("d/e", ec);
	std::cout << std::distance(fs::recursive_directory_iterator("d"),
		fs::recursive_directory_iterator()) << ' ' << fs::remove_all("d") << '\n';
	std::mutex mx; std::condition_variable cv; bool ready = false;
	std::thread t([&] { std::unique_lock l(mx); cv.wait(l, [&] { return ready; });
		std::cout << "thread "; });
	{ std::lock_guard l(mx); ready = true; }
	cv.notify_one();
	t.join();
	auto fu = std::async(std::launch::deferred, [] { return thrower(9); });
	try { fu.get(); } catch (int n) { std::cout << n << '\n'; }
	std::unordered_map<std::string, int> u;
	for (int n = 0; n < 200; n++) u["x" + std::to_string(n % 40)]++;
	std::list<int> l(v.begin(), v.end()); l.sort(std::greater<>()); l.unique();
	std::set<int> st(v.begin(), v.end()); std::deque<int> q(st.begin(), st.end());
	std::valarray<double> va{ 1, 2, 3 }; char buf[32];
	auto r = std::to_chars(buf, buf + 32, 2.0 / 3);
	std::cout << u.size() << ' ' << l.front() << ' ' << q.size() << ' '
		<< (va * va).sum() << ' ' << std::string(buf, r.ptr) << ' '
		<< std::chrono::duration_cast<std::chrono::seconds>(
			std::chrono::minutes(3)).count() << '\n';
	std::wcout.imbue(std::locale::classic());
	std::cout << std::put_time(std::gmtime(&zero), "%F") << ' '
		<< std::use_facet<std::ctype<char>>(std::locale()).toupper('x') << '\n';
	try { std::locale bad("no_SUCH.locale"); }
	catch (const std::runtime_error &e) { std::cout << e.what() << '\n'; }
	return 3;
}
EOF
[ -e ../cxx ] || g++ -std=c++17 -O1 -pthread -w -o ../cxx work.cc
for ((i = 0; i < times; i++)); do
	../cxx || echo "exit $?"
done
