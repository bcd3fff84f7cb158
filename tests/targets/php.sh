# SPDX-License-Identifier: MIT
# A workload for php: classes, closures, generators, regular expressions, errors.
# bash php.sh DIRECTORY [TIMES]
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
cat >work.php <<'EOF'
<?php
declare(strict_types=1);
error_reporting(E_ALL);
interface Shape { function area(): float; }
abstract class Base implements Shape {
	public function __construct(protected float $n) {}
	public function __toString(): string { return static::class . ":" . $this->area(); }
	public static function __callStatic($n, $a) { return "$n(" . implode(",", $a) . ")"; }
}
final class Square extends Base { function area(): float { return $this->n ** 2; } }
final class Circle extends Base { function area(): float { return 3 * $this->n ** 2; } }
enum Suit: string { case H = 'h'; case S = 's';
	public function label(): string { return ucfirst(strtolower($this->name)); } }
function gen(int $n) { for ($i = 0; $i < $n; $i++) { $x = yield $i => $i * 2; if ($x) return $x; } return 7; }
function fib(int $n): int { return $n < 2 ? $n : fib($n - 1) + fib($n - 2); }
for ($k = 0; $k < (int)$argv[1]; $k++) {
	echo new Square(2.0), " ", new Circle(1.5), " ", Base::nope(1, 2), "\n";
	$a = array_map(fn($x) => $x * 7 % 31, range(1, 30));
	sort($a); usort($a, fn($x, $y) => $y <=> $x);
	echo implode(",", array_slice($a, 0, 5)), " ", array_sum(array_filter($a, fn($x) => $x & 1)), "\n";
	echo json_encode(["a" => [1, 2.5, null, "é"], "n" => ["x" => true]], JSON_PRETTY_PRINT), "\n";
	var_dump(json_decode('{"a":{"b":[1,2]}}', true)["a"]["b"][1], json_decode('{bad'));
	echo preg_replace_callback('/(\w)(\d+)/', fn($m) => $m[2] . $m[1], "a1 b22 c333"), " ",
		preg_match('/(?<y>\d{4})-(?<m>\d\d)/', "on 2024-05", $m), $m["y"], "\n";
	$g = gen(5); foreach ($g as $i => $v) echo "$i=$v "; echo $g->getReturn(), "\n";
	foreach ([fn() => intdiv(1, 0), fn() => [] > 0 ? strlen(5) : 0, fn() => (new Square(1.0))->no(),
		fn() => throw new LogicException("l"), fn() => Suit::from("x")] as $f)
		try { $f(); echo "none\n"; } catch (Throwable $e) { echo get_class($e), ": ", $e->getMessage(), "\n"; }
		finally { echo "f "; }
	printf("%05.2f %x %'*10s %b %e\n", 3.14159, 255, "pad", 5, 12345.678);
	echo fib(15), " ", md5("x"), " ", crc32("abc"), " ", hash("sha256", "q"), "\n";
	echo match(true) { $k > 100 => "big", default => Suit::H->label() }, " ", date("Y-m-d", 86400), "\n";
	$s = serialize(["k" => 1, "o" => new ArrayObject([1, 2])]); echo strlen($s), count(unserialize($s)["o"]), "\n";
	[$p, [, $q]] = [1, [2, 3]]; echo $p + $q, " ", str_pad(strrev("abc"), 6, "-", STR_PAD_BOTH), " ", ucwords("a b"), "\n";
	static $calls = 0; $ref = &$calls; $ref++; echo $calls, " ", PHP_INT_MAX, " ", 7 <=> 3, " ", 10 % 4, " ", "5" + 3, "\n";
	file_put_contents("f", implode("\n", range(1, 50))); echo array_sum(file("f")), " ", filesize("f"), "\n";
}
exit(3);
EOF
USE_ZEND_ALLOC=1 php8.2 -n -d date.timezone=UTC work.php "$times" 2>&1 || echo "exit $?"
php8.2 -n -r 'echo 1 +;' 2>&1 || echo "exit $?"
php8.2 -n -r 'nope();' 2>&1 || echo "exit $?"
echo '<b><?= 2 + 3 ?></b>' | php8.2 -n
