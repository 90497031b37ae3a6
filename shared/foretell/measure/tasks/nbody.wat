;; Moves five bodies (the sun and the four giant planets, simplified) through argument steps of 0.01
;; and returns the total energy at the end.
;; A body is seven doubles: x y z, vx vy vz, mass. The start values are in the data segment.
;; Work grows with argument. Memory: none beyond the first page.
(module
  (memory (export "memory") 1)
  (global $bodies i32 (i32.const 5))
  (global $size i32 (i32.const 56))

  (data (i32.const 0)
    ;; sun: at rest, mass 40
    "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00"
    "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00"
    "\00\00\00\00\00\00\44\40"
    ;; (5, 0, 0), (0, 2.5, 0.25), mass 0.03125
    "\00\00\00\00\00\00\14\40" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00"
    "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\04\40" "\00\00\00\00\00\00\d0\3f"
    "\00\00\00\00\00\00\a0\3f"
    ;; (0, 10, 0), (-2, 0, 0.125), mass 0.0078125
    "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\24\40" "\00\00\00\00\00\00\00\00"
    "\00\00\00\00\00\00\00\c0" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\c0\3f"
    "\00\00\00\00\00\00\80\3f"
    ;; (-20, 0, 1), (0, -1.5, 0), mass 0.001953125
    "\00\00\00\00\00\00\34\c0" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\f0\3f"
    "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\f8\bf" "\00\00\00\00\00\00\00\00"
    "\00\00\00\00\00\00\60\3f"
    ;; (0, -30, -1), (1, 0, 0), mass 0.00390625
    "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\3e\c0" "\00\00\00\00\00\00\f0\bf"
    "\00\00\00\00\00\00\f0\3f" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00"
    "\00\00\00\00\00\00\70\3f")

  (func $address (param $body i32) (result i32)
    (i32.mul (local.get $body) (global.get $size)))

  ;; Adds factor * (dx, dy, dz) to the velocity of the body at $at.
  (func $push (param $at i32) (param $dx f64) (param $dy f64) (param $dz f64) (param $factor f64)
    (f64.store offset=24 (local.get $at)
      (f64.add (f64.load offset=24 (local.get $at)) (f64.mul (local.get $dx) (local.get $factor))))
    (f64.store offset=32 (local.get $at)
      (f64.add (f64.load offset=32 (local.get $at)) (f64.mul (local.get $dy) (local.get $factor))))
    (f64.store offset=40 (local.get $at)
      (f64.add (f64.load offset=40 (local.get $at)) (f64.mul (local.get $dz) (local.get $factor)))))

  (func $distance2 (param $a i32) (param $b i32) (result f64)
    (local $dx f64) (local $dy f64) (local $dz f64)
    (local.set $dx (f64.sub (f64.load (local.get $a)) (f64.load (local.get $b))))
    (local.set $dy (f64.sub (f64.load offset=8 (local.get $a)) (f64.load offset=8 (local.get $b))))
    (local.set $dz
      (f64.sub (f64.load offset=16 (local.get $a)) (f64.load offset=16 (local.get $b))))
    (f64.add
      (f64.add
        (f64.mul (local.get $dx) (local.get $dx))
        (f64.mul (local.get $dy) (local.get $dy)))
      (f64.mul (local.get $dz) (local.get $dz))))

  (func $attract (param $a i32) (param $b i32) (param $dt f64)
    (local $dx f64) (local $dy f64) (local $dz f64) (local $d2 f64) (local $pull f64)
    (local.set $dx (f64.sub (f64.load (local.get $a)) (f64.load (local.get $b))))
    (local.set $dy (f64.sub (f64.load offset=8 (local.get $a)) (f64.load offset=8 (local.get $b))))
    (local.set $dz
      (f64.sub (f64.load offset=16 (local.get $a)) (f64.load offset=16 (local.get $b))))
    (local.set $d2 (call $distance2 (local.get $a) (local.get $b)))
    (local.set $pull
      (f64.div (local.get $dt) (f64.mul (local.get $d2) (f64.sqrt (local.get $d2)))))
    (call $push (local.get $a) (local.get $dx) (local.get $dy) (local.get $dz)
      (f64.neg (f64.mul (f64.load offset=48 (local.get $b)) (local.get $pull))))
    (call $push (local.get $b) (local.get $dx) (local.get $dy) (local.get $dz)
      (f64.mul (f64.load offset=48 (local.get $a)) (local.get $pull))))

  (func $move (param $at i32) (param $dt f64)
    (f64.store (local.get $at)
      (f64.add
        (f64.load (local.get $at))
        (f64.mul (local.get $dt) (f64.load offset=24 (local.get $at)))))
    (f64.store offset=8 (local.get $at)
      (f64.add
        (f64.load offset=8 (local.get $at))
        (f64.mul (local.get $dt) (f64.load offset=32 (local.get $at)))))
    (f64.store offset=16 (local.get $at)
      (f64.add
        (f64.load offset=16 (local.get $at))
        (f64.mul (local.get $dt) (f64.load offset=40 (local.get $at))))))

  (func $step (param $dt f64)
    (local $i i32) (local $j i32)
    (loop $pairs
      (local.set $j (i32.add (local.get $i) (i32.const 1)))
      (block $last
        (loop $others
          (br_if $last (i32.ge_u (local.get $j) (global.get $bodies)))
          (call $attract
            (call $address (local.get $i)) (call $address (local.get $j)) (local.get $dt))
          (local.set $j (i32.add (local.get $j) (i32.const 1)))
          (br $others)))
      (br_if $pairs
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (global.get $bodies))))
    (local.set $i (i32.const 0))
    (loop $all
      (call $move (call $address (local.get $i)) (local.get $dt))
      (br_if $all
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (global.get $bodies)))))

  (func $speed2 (param $at i32) (result f64)
    (f64.add
      (f64.add
        (f64.mul (f64.load offset=24 (local.get $at)) (f64.load offset=24 (local.get $at)))
        (f64.mul (f64.load offset=32 (local.get $at)) (f64.load offset=32 (local.get $at))))
      (f64.mul (f64.load offset=40 (local.get $at)) (f64.load offset=40 (local.get $at)))))

  (func $energy (result f64)
    (local $i i32) (local $j i32) (local $a i32) (local $b i32) (local $sum f64)
    (loop $all
      (local.set $a (call $address (local.get $i)))
      (local.set $sum
        (f64.add (local.get $sum)
          (f64.mul
            (f64.mul (f64.const 0.5) (f64.load offset=48 (local.get $a)))
            (call $speed2 (local.get $a)))))
      (local.set $j (i32.add (local.get $i) (i32.const 1)))
      (block $last
        (loop $others
          (br_if $last (i32.ge_u (local.get $j) (global.get $bodies)))
          (local.set $b (call $address (local.get $j)))
          (local.set $sum
            (f64.sub (local.get $sum)
              (f64.div
                (f64.mul (f64.load offset=48 (local.get $a)) (f64.load offset=48 (local.get $b)))
                (f64.sqrt (call $distance2 (local.get $a) (local.get $b))))))
          (local.set $j (i32.add (local.get $j) (i32.const 1)))
          (br $others)))
      (br_if $all
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (global.get $bodies))))
    (local.get $sum))

  (func (export "run") (param $steps i32) (result f64)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $steps)))
        (call $step (f64.const 0.01))
        (local.set $steps (i32.sub (local.get $steps) (i32.const 1)))
        (br $next)))
    (call $energy)))
