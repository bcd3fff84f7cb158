# SPDX-License-Identifier: MIT
# A workload for ruby and libruby: blocks, methods, strings, fibers, exceptions.
# bash ruby.sh DIRECTORY [TIMES]
# With ONE_STACK=1 there are no fibers: those have stacks of their own.
set -e
# A crash is not one of its results: who runs us shall see it, as our status.
ended() {
	echo "exit $1"
	[ "$1" -lt 128 ] || exit "$1"
}
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
export STEADY_ENTROPY=1
cat >work.rb <<'EOF'
Point = Struct.new(:x, :y) do
  include Comparable
  def <=>(o) = x <=> o.x
  def +(o) = Point.new(x + o.x, y + o.y)
end
class Loud
  def method_missing(n, *a, &b) = n.to_s.end_with?("?") ? super : "#{n}#{a.sum}"
  def respond_to_missing?(n, p = false) = true
end
def fib(n) = n < 2 ? n : fib(n - 1) + fib(n - 2)
def deep(n) = n.zero? ? 0 : 1 + deep(n - 1)
ARGV[0].to_i.times do |k|
  a = (1..30).map { |x| x * 7 % 31 }
  p a.sort.reverse.first(5), a.each_slice(7).map(&:sum), a.partition(&:even?).map(&:size)
  p a.group_by { |x| x % 3 }.transform_values(&:count).sort, a.each_with_object({}) { |x, h| h[x] = x * x }.size
  p "hello world".gsub(/o(.)/) { $1.upcase }, "a-b_c".tr("-_", "  ").split.map(&:capitalize).join, "x=1,y=22".scan(/(\w)=(\d+)/)
  p (Point.new(1, 2) + Point.new(3, 4)).to_a, [Point.new(2, 1), Point.new(1, 9)].min, Loud.new.foo(1, 2)
  %w[raise\ ArgumentError,"x" 1/0 nil.foo Integer("z") [].fetch(9) deep(10**6) {}.fetch(:k)].each do |s|
    begin
      eval s
    rescue SystemStackError, StandardError => e
      puts "#{e.class}: #{e.message[0, 30]}"
    ensure
      print "."
    end
  end
  unless ENV["ONE_STACK"]
    f = Fiber.new { |x| 3.times { |i| x = Fiber.yield(x + i) }; :done }
    p f.resume(1), f.resume(5), f.resume(7), f.resume(0), f.alive?
  end
  e = Enumerator.new { |y| 5.times { |i| y << i * i } }
  p e.next, e.next unless ENV["ONE_STACK"]
  p e.lazy.select(&:odd?).first(2), e.with_index.to_a.last
  printf("%05.2f|%-6s|%x|%b|%e\n", 3.14159, "ab", 255, 5, 12345.678)
  p 2**100, 7.divmod(-2), 10.0 / 3, Rational(3, 4) + 1, Complex(1, 2) * 2, 255.to_s(2), "0x1f".hex
  case { name: "x", list: [1, [2, 3]] }
  in { name: String => n, list: [Integer, [a, *]] } then p n, a
  end
  p catch(:found) { 10.times { |i| throw :found, i if i * i > 30 }; nil }, fib(14)
  t = Thread.new { Thread.current[:v] = fib(10) }
  p t.value, ObjectSpace.respond_to?(:each_object), :sym.to_proc.call("x") rescue p $!.class
  p [3, 1, 2].sort_by { -_1 }, (1..Float::INFINITY).lazy.map { _1 * 2 }.first(3), "é".bytes, "abc".unpack("C*"), [1, 2].pack("s*")
  GC.start
end
pid = fork { exit!(deep(6)) }
p Process.wait2(pid)[1].exitstatus
exit 5
EOF
ruby3.1 --disable=gems,rubyopt work.rb "$times" 2>&1 || ended $?
ruby3.1 --disable=gems -e 'p 1 +' 2>&1 | cksum
ruby3.1 --disable=gems -e 'raise "top"' 2>&1 || ended $?
printf '1 2\n3 4\n' | ruby3.1 --disable=gems -lane 'puts $F.map(&:to_i).sum'
